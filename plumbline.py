"""Plumbline: checks a GPT-2 written from scratch, part by part, and says which line is wrong.

The front executor. It adds pytest's options, ``python -m plumbline`` and the public names, and imports nothing else of the
project until it is asked to: `harness` and `specs` are everyday names, and somebody's own packages must not be disturbed.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
DISTRIBUTION = "plumbline-llm"
"""What pip installs. The name `plumbline` on PyPI belongs to another project."""
__all__ = ["implements", "main"]

OPTIONS = (
    (
        "impl",
        "the implementation to check: a module (mymodel), a file (./student.py), an object (pkg.module:thing), "
        "or a known mistake (bug:layer_norm.unbiased_variance)",
        "",
    ),
    ("impl-require", "components that must be there, or 'all': what is to do counts as a failure", ""),
    ("impl-baseline", "a record of an earlier run: only what is new fails, what was mended is listed", ""),
    (
        "impl-variant",
        "legal variants you mean, as component=variant, separated by commas (gelu=erf); "
        "eps=1e-6 where your norms have a fixed epsilon",
        "",
    ),
    ("impl-seed", "seed that every case is drawn from (default: a fresh one each run, which the run prints)", ""),
    ("impl-effort", "quick (a first look), default, or thorough (five times the cases)", "default"),
    ("impl-cases", "cases drawn per component (default: what its contract says, mostly 50)", ""),
    ("impl-timeout", "seconds that one case may take", "60"),
    ("impl-shard", "K/N: judge the K-th of N parts of the components (plumbline report joins the records)", ""),
    (
        "impl-report",
        "where the run's JSON record is written, and its faces: run.json,html,csv:checks.csv "
        "(plumbline report --help lists the formats)",
        ".plumbline/run.json",
    ),
)


def implements(*arguments: Any, **options: Any) -> Any:
    """Decorator: this factory builds the component of that name. See ``harness.discovery.implements.implements``."""
    from harness.pytest_plugin import implements as decorate

    return decorate(*arguments, **options)


def pytest_addoption(parser: Any) -> None:
    """Options start with ``--impl``; each has a twin in the ini file."""
    group = parser.getgroup("plumbline", "Plumbline: check an implementation of GPT-2's components")
    for name, text, _default in OPTIONS:
        key, shown = name.replace("-", "_"), name.rpartition("-")[2].upper()
        # Without a value it is said what it takes, rather than argparse's error.
        empty = {"nargs": "?", "const": " "} if name == "impl" else {}
        group.addoption(f"--{name}", dest=key, default=None, metavar=shown, help=text, **empty)
        parser.addini(name.replace("-", "_"), text + f" (twin of --{name})", default=None)
    group.addoption("--impl-select", dest="impl_select", action="append", default=None, help="used between processes")


def pytest_configure(config: Any) -> None:
    """Load the machine only when there is something to check."""
    import pytest

    try:
        table, file = _project(Path(config.invocation_params.dir))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    options = {name.replace("-", "_"): _chosen(config, name, table) for name, _, _ in OPTIONS}
    if not options["impl"]:
        if wrong := _misspelt(table, file):
            raise pytest.UsageError(wrong)
        return
    hidden = hidden_packages() or hidden_module()
    if hidden:
        raise pytest.UsageError(hidden)
    if (other := second_distribution()) and not hasattr(config, "workerinput"):
        print(f"plumbline: {other}", file=sys.stderr)
    from harness.pytest_plugin.plugin import Plugin

    config.pluginmanager.register(Plugin(config, options, (table, file)), "plumbline-run")


def _project(folder: Path) -> tuple[dict[str, Any], str]:
    """``[tool.plumbline]`` of the nearest pyproject.toml from this folder upwards that has it, and that file.

    Raises ValueError naming a file that is no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:  # pytest brings it along
        import tomli as tomllib
    for place in (folder.resolve(), *folder.resolve().parents):
        file = place / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("plumbline")
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} cannot be read: {error}") from None
        if isinstance(table, dict):
            return _at_home(table, place), str(file)
    return {}, ""


def _at_home(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An implementation is named from where pyproject.toml stands, wherever the run starts."""
    impl = table.get("impl")
    if not isinstance(impl, str) or impl.startswith("bug:"):
        return table
    if impl.partition(":")[0].endswith(".py") or "/" in impl:
        return {**table, "impl": str(folder / impl)}
    if str(folder) not in sys.path and folder != Path.cwd():
        sys.path.append(str(folder))
    return table


def _misspelt(table: dict[str, Any], file: str) -> str:
    """What is wrong with a table that names no implementation although it seems to; an empty text otherwise."""
    import difflib

    keys = [name.removeprefix("impl-") for name, _, _ in OPTIONS if name != "impl-variant"]
    for key in table:
        near = difflib.get_close_matches(key, keys, 1, 0.6)
        if near and key not in keys:
            return f"{file}, [tool.plumbline]: there is no key {key!r}; did you mean {near[0]}?"
    return ""


def _chosen(config: Any, name: str, table: dict[str, Any]) -> str:
    """Command line before ini file before pyproject.toml before default."""
    key = name.replace("-", "_")
    default = next(default for option, _, default in OPTIONS if option == name)
    given = config.getoption(key)
    if given is None:
        try:
            given = config.getini(key)
        except (KeyError, ValueError):
            given = None
    if not given and name != "impl-variant":
        given = table.get(name.removeprefix("impl-"))
        given = ",".join(map(str, given)) if isinstance(given, list) else given
    return str(given) if given not in (None, "") else default


def hidden_packages() -> str:
    """A message naming the file that hides one of our packages, or an empty text where all are the ones beside us."""
    here = Path(__file__).resolve().parent
    for name in ("harness", "specs", "reference_model"):
        loaded = sys.modules.get(name)
        spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(name)
        places = [Path(p).resolve() for p in (spec.submodule_search_locations or [])] if spec else []
        if not places and spec is not None and spec.origin:
            places = [Path(spec.origin).resolve()]
        if here / name not in places:
            found = places[0] if places else "nothing"
            return (
                f"plumbline needs its own package {name!r} (at {here / name}), but {found} stands in front of it. "
                f"Run from another directory, or use `pytest` instead of `python -m pytest` so that the current directory is not searched first."
            )
    return ""


def hidden_module() -> str:
    """A message naming what Python would import as ``plumbline`` in place of this file; an empty text where it is this file.

    This file can run although another one stands in front of it: as a script, or loaded before the path was changed.
    Another checkout of this project is not reported.
    """
    ours = Path(__file__).resolve()
    spec = importlib.machinery.PathFinder.find_spec("plumbline")
    # Nothing on the path, or a folder without code: the finder of an editable install finds us.
    if spec is None or spec.origin is None:
        return ""
    found = Path(spec.origin).resolve()
    if found == ours or _is_checkout(found.parent):
        return ""
    place = found.parent if found.name == "__init__.py" else found
    message = f"Python imports `plumbline` from {place}, which is not Plumbline ({ours})."
    if others := other_distributions():
        return f"{message} {_reinstall(others)}"
    return f"{message} Rename it, or run from another directory."


def second_distribution() -> str:
    """A message naming installed distributions of other projects that provide a module ``plumbline``, or an empty text."""
    others = other_distributions()
    return f"This run uses {Path(__file__).resolve()}. {_reinstall(others)}" if others else ""


def other_distributions() -> dict[str, str]:
    """Name and version of the installed distributions, ours aside, that provide a top-level module ``plumbline``."""
    import importlib.metadata

    found = {}
    for each in importlib.metadata.distributions():
        listed = each.read_text("top_level.txt") or ""
        files = each.read_text("RECORD") or ""
        if "plumbline" not in listed.split() and not re.search(r"^plumbline(/|\.py,)", files, re.MULTILINE):
            continue
        plugs = each.entry_points.select(group="pytest11", name="plumbline")
        name = each.metadata["Name"]
        if not plugs and re.sub(r"[-_.]+", "-", name).lower() != DISTRIBUTION:
            found[name] = each.version
    return found


def _is_checkout(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in ("harness", "specs", "reference_model"))


def _reinstall(others: dict[str, str]) -> str:
    """Which other projects provide the module, and the commands that leave only ours."""
    named = ", ".join(f"{name} {version}" for name, version in others.items())
    return (
        f"Another project's distribution that provides a module `plumbline` is installed: {named}. "
        f"Ours is called {DISTRIBUTION}. Whichever is imported depends on the order of installation. "
        f"Remove both: {sys.executable} -m pip uninstall {' '.join(others)} {DISTRIBUTION}; then install ours: "
        f"{sys.executable} -m pip install {DISTRIBUTION} (in a checkout: pip install -c constraints.txt -e .)."
    )


def main() -> int:
    """The command line: ``plumbline COMMAND ...``."""
    if str(Path(__file__).resolve().parent) not in sys.path:
        sys.path.append(str(Path(__file__).resolve().parent))
    hidden = hidden_packages() or hidden_module()
    if hidden:
        print(hidden, file=sys.stderr)
        return 4
    if other := second_distribution():
        print(f"plumbline: {other}", file=sys.stderr)
    from harness.cli import main as run

    try:
        project = _project(Path.cwd())
    except ValueError as error:
        print(f"plumbline: {error}", file=sys.stderr)
        return 4
    return run(sys.argv[1:], project)


if __name__ == "__main__":
    sys.exit(main())
