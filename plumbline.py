"""Plumbline: checks a language model written from scratch, component by component, and names the line that is wrong.

The front door: pytest's options, ``python -m plumbline`` and the public names. It imports ``harness.pytest_plugin``,
``harness.cli`` and ``harness.training`` only, and only when asked: `harness` and `specs` are everyday names, and a
user's own packages of these names must not be disturbed.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pytest

    from harness.training import InspectionResult

__version__ = "0.1.0"
DISTRIBUTION = "plumbline-llm"
"""What pip installs. The name `plumbline` on PyPI belongs to another project."""
__all__ = ["curve", "implements", "inspecting", "main", "study"]


class Option(NamedTuple):
    """One option of ours, without the two dashes."""

    name: str
    help: str
    default: str = ""
    is_list: bool = False
    """Whether it takes several values, separated by commas or by repeating it."""


OPTIONS = (
    Option(
        "impl",
        "the implementation to check: a module (mymodel), a file (./student.py), an object (pkg.module:thing), "
        "or a known mistake (mistake:layer_norm.unbiased_variance)",
    ),
    Option(
        "impl-require",
        "components that must be implemented, separated by commas, or 'all': a check that is to do fails",
        is_list=True,
    ),
    Option("impl-baseline", "record of an earlier run: only new failures fail; fixed ones are listed"),
    Option(
        "impl-variant",
        "legal forms that you implement, as component=variant or axis=value, separated by commas "
        "(gelu=erf,softcap=50); eps=1e-6 if your norms have a fixed epsilon; the option may be repeated",
        is_list=True,
    ),
    Option("impl-seed", "seed of the generated cases (default: a new one in each run, which the header shows)"),
    Option("impl-effort", "how many cases: quick (a twelfth), default, or thorough (five times as many)", "default"),
    Option(
        "impl-hints",
        "how much of what is wrong is shown: claim, finding, line (default), or change, which also seeks a change "
        "of your file that is proven to fix each component",
        "line",
    ),
    Option(
        "impl-isolation",
        "where your code runs: none (this process, default), process (one of its own), limits (with limits on memory "
        "and files), sandbox (and nothing read or written elsewhere, no network, no other processes; Linux)",
        "none",
    ),
    Option("impl-cases", "generated cases per component (default: as its contract states, 50 for most)"),
    Option(
        "impl-timeout",
        "processor seconds that one case may take (default: 60); after five times as many seconds it is stopped anyway",
        "60",
    ),
    Option(
        "impl-shard",
        "K/N: judge the K-th of N parts of the components, for several machines; `plumbline report` joins the records",
    ),
    Option(
        "impl-report",
        "file of the JSON record (default: .plumbline/run.json) and the report formats to write: "
        "run.json,html,csv:checks.csv (`plumbline report --help` lists the formats)",
        ".plumbline/run.json",
        is_list=True,
    ),
)


Factory = TypeVar("Factory", bound=Callable[..., Any])


def implements(component: str, **options: Any) -> Callable[[Factory], Factory]:
    """Decorator: this factory builds the component of that name. See ``harness.discovery.implements.implements``."""
    from harness.pytest_plugin import implements as decorate

    return decorate(component, **options)


def inspecting(steps: int = 8) -> AbstractContextManager[InspectionResult]:
    """Watch the training in a ``with`` block for so many optimiser steps. See ``harness.training.inspecting``."""
    from harness.training import inspecting as watch

    return watch(steps)


def curve(source: Any, **columns: str | None) -> Any:
    """The episodes of a training run: of a log (a path), or of lists by name (``{"step": [...], "loss": [...]}``).

    A list that shows itself in notebooks. ``columns``: train, valid, step, rate or norm -> name of the column, where
    the guess is wrong. See ``harness.curves.api.curve``.
    """
    from harness.curves.api import curve as judge

    return judge(source, **columns)


def study(name: str | Sequence[str] = (), impl: str | None = None, **options: Any) -> Any:
    """Run lessons, all where none is named, with the components of ``impl`` where it offers them. -> their results

    ``options``: effort (quick, default or full), seed. See ``harness.study.studying.study``.
    """
    from harness.study.studying import study as run

    return run(name, impl, **options)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options start with ``--impl``; each has a twin in the ini file."""
    group = parser.getgroup("plumbline", "Plumbline: check an implementation of a language model's components")
    for option in OPTIONS:
        key, shown = option.name.replace("-", "_"), option.name.rpartition("-")[2].upper()
        # --impl without a value gets a message of ours, which shows what it takes, instead of argparse's.
        empty = {"nargs": "?", "const": " "} if option.name == "impl" else {}
        how = {"action": "append", "default": None, "metavar": shown, "help": option.help, **empty}
        group.addoption(f"--{option.name}", dest=key, **how)
        parser.addini(key, f"{option.help} (same as --{option.name})", default=None)
    group.addoption(
        "--impl-no-cache",
        action="store_true",
        dest="impl_no_cache",
        help="work the tolerances out anew; by default those of an earlier run with the same seed are used, which "
        "depend on the reference alone",
    )
    # For processes that this run starts.
    group.addoption("--impl-select", dest="impl_select", action="append", default=None, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    """Load the harness only when there is something to check."""
    import pytest

    try:
        table, file = _project(Path(config.invocation_params.dir))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    try:
        options = {option.name.replace("-", "_"): _chosen(config, option, table) for option in OPTIONS}
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    options["impl_no_cache"] = "yes" if config.getoption("impl_no_cache") else ""
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
    """``[tool.plumbline]`` of the nearest pyproject.toml, from this folder upwards, that has it; and that file.

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
    if not isinstance(impl, str) or impl.startswith(("mistake:", "bug:")):
        return table
    if impl.partition(":")[0].endswith(".py") or "/" in impl:
        return {**table, "impl": str(folder / impl)}
    if str(folder) not in sys.path and folder != Path.cwd():
        sys.path.append(str(folder))
    return table


def _misspelt(table: dict[str, Any], file: str) -> str:
    """What is wrong with a table that names no implementation although it seems to; an empty text otherwise."""
    import difflib

    keys = [option.name.removeprefix("impl-") for option in OPTIONS if option.name != "impl-variant"]
    for key in table:
        near = difflib.get_close_matches(key, keys, 1, 0.6)
        if near and key not in keys:
            return f"{file}, [tool.plumbline]: there is no key {key!r}; did you mean {near[0]}?"
    return ""


def _chosen(config: pytest.Config, option: Option, table: dict[str, Any]) -> str:
    """Command line before ini file before pyproject.toml before default."""
    key = option.name.replace("-", "_")
    values = config.getoption(key)
    given = _joined(config, option, values) if values else config.getini(key)
    if not given and option.name != "impl-variant":
        given = table.get(option.name.removeprefix("impl-"))
        given = ",".join(map(str, given)) if isinstance(given, list) else given
    return str(given) if given not in (None, "") else option.default


def _joined(config: pytest.Config, option: Option, values: list[str]) -> str:
    """The values of an option that was given once or several times: all of a list, else the last one.

    Raises ValueError where the command line gives one that is no list several values. (What ``addopts`` says may be
    overridden.)
    """
    if option.is_list:
        return ",".join(values)
    here = sum(str(given).partition("=")[0] == f"--{option.name}" for given in config.invocation_params.args)
    different = list(dict.fromkeys(values[-here:])) if here else []
    if len(different) > 1:
        listed = " and ".join(f"--{option.name}={value}" for value in different)
        raise ValueError(f"{listed} contradict each other; give --{option.name} once")
    return values[-1]


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
                f"Run from another directory, or use `pytest` instead of `python -m pytest`: then the current "
                f"directory is not searched first."
            )
    return ""


def hidden_module() -> str:
    """A message naming what Python imports as ``plumbline`` in place of this file; empty where it is this file.

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
    """A message naming other projects' installed distributions with a module ``plumbline``, or an empty text."""
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
