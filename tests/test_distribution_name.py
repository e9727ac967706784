"""The distribution is called plumbline-llm: on PyPI the name `plumbline` belongs to another project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ("*.py", "*.md", "*.jinja", "*.toml", "*.ini", "*.txt", "*.yml", "*.yaml", "*.sh", "*.cfg")
INSTALLERS = re.compile(r"\b(?:pip3?|pipx|uv|uvx|conda|mamba|poetry|pdm|rye)\b[^\n]*")
WRONG = re.compile(r"(?<![\w./:=-])plumbline(?=$|[\s\"'`),;.]|\[|[=<>~!]=?\d)")
REQUIREMENT = re.compile(r"(?<![\w./-])plumbline(?:\[[a-z][a-z, ]*\]|(?:==|>=|<=|~=|!=)\d)")
ACTIONS = re.compile(r"\b(?:install|add|uvx|run|inject|download)\b")


def wrong_installs(text: str) -> list[str]:
    """Lines that tell to install a distribution called plumbline, or name one as a requirement."""
    found = []
    for line in text.splitlines():
        for command in INSTALLERS.findall(line):
            action = ACTIONS.search(command)
            code = re.split(r"`|&&|#", command[action.end() :])[0] if action else ""
            if WRONG.search(code):
                found.append(line)
                break
        else:
            found += [line] if REQUIREMENT.search(line) else []
    return found


def documents() -> list[Path]:
    """Every text of the project, this file aside."""
    skipped = {".git", ".tox", "build", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache", ".plumbline"}
    found = {ROOT / ".ci" / "run"}
    for pattern in TEXTS:
        found |= {
            path
            for path in ROOT.rglob(pattern)
            if not any(part in skipped or part.endswith(".egg-info") for part in path.relative_to(ROOT).parts)
        }
    return sorted(found - {Path(__file__).resolve()})


def test_no_text_tells_to_install_another_project() -> None:
    """No document, template, workflow, message or docstring installs `plumbline`."""
    paths = documents()
    assert {"README.md", "docs/CI.md", "harness/grading/slurm.py"} <= {p.relative_to(ROOT).as_posix() for p in paths}
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in paths
        for line in wrong_installs(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    (
        "pip install plumbline",
        "- run: pip install plumbline pytest-xdist",
        "    python -m pip install -U 'plumbline'",
        'pip3 install "plumbline[slurm]"',
        "`pip install plumbline`, then run it",
        "pip install -c constraints.txt plumbline && pytest",
        "uvx plumbline list",
        "uv add plumbline",
        "uv pip install plumbline==0.1.0",
        "pipx install plumbline.",
        'test = ["plumbline[bench]"]',
        '"plumbline>=0.1"',
    ),
)
def test_a_wrong_install_is_noticed(line: str) -> None:
    """Every usual form of the command, and a requirement in a table."""
    assert wrong_installs(line) == [line]


@pytest.mark.parametrize(
    "line",
    (
        "pip install plumbline-llm pytest-xdist",
        'pip install "plumbline-llm[slurm]"',
        "pip install -c constraints.txt -e . && plumbline list",
        "pip install plumbline-llm   # the command is `plumbline`",
        "uvx --from plumbline-llm@0.1.0 pytest",
        "pip install git+https://example.org/somebody/plumbline",
        "`pip install plumbline-llm`; the name `plumbline` belongs to another project",
        "from plumbline import implements",
        "[tool.plumbline]",
    ),
)
def test_a_right_line_is_left_alone(line: str) -> None:
    """Other uses of the word are no installs."""
    assert wrong_installs(line) == []


def test_a_checkout_is_installed_with_its_constraints() -> None:
    """Every documented command that installs the checkout, or tools for it, uses constraints.txt."""
    commands = [
        line
        for path in documents()
        if path.suffix == ".md" or path.name == "run"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"pip3? install .*(-e \.|tox)", line)
    ]
    assert len(commands) >= 4
    assert [c for c in commands if "-c constraints.txt" not in c] == []


def test_the_metadata_name_the_distribution() -> None:
    """Name, command, plug-in and the extra that refers to the others."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "plumbline-llm"
    assert project["scripts"] == {"plumbline": "plumbline_llm:main"}
    assert project["entry-points"]["pytest11"] == {"plumbline": "plumbline_llm"}
    assert project["optional-dependencies"]["test"][0].startswith("plumbline-llm[")


def distribution(site: Path, name: str, record: str, top: str = "", points: str = "") -> None:
    """A distribution's metadata as pip writes them."""
    folder = site / f"{name.replace('-', '_')}-1.2.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (folder / "RECORD").write_text(record)
    for file, text in (("top_level.txt", top), ("entry_points.txt", points)):
        if text:
            (folder / file).write_text(text)


def start(folder: Path, *arguments: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


SCRIPT = str(ROOT / "plumbline.py")


def test_another_distribution_beside_ours_is_named(tmp_path: Path) -> None:
    """With what to do, on the error stream only; the command goes on."""
    distribution(tmp_path, "plumbline", "plumbline/__init__.py,,\nplumbline/core.py,,\n")
    done = start(tmp_path, SCRIPT, "list", "gelu", path=(ROOT, tmp_path))
    assert done.returncode == 0 and "gelu" in done.stdout
    assert "is installed: plumbline 1.2. Ours is called plumbline-llm" in done.stderr
    assert "-m pip uninstall plumbline plumbline-llm;" in done.stderr and "constraints.txt" in done.stderr
    assert "pip" not in done.stdout


def test_pytest_names_it_once_and_only_with_an_implementation(tmp_path: Path) -> None:
    """A run without --impl is somebody's own and stays silent."""
    distribution(tmp_path, "plumbline", "", top="plumbline\n")
    (tmp_path / "mymodel.py").write_text("def gelu(x):\n    raise NotImplementedError\n")
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    pass\n")
    plug = ("-m", "pytest", "-p", "plumbline", "-p", "no:cacheprovider")
    silent = start(tmp_path, *plug, path=(ROOT, tmp_path))
    assert "1 passed" in silent.stdout and "distribution" not in silent.stdout + silent.stderr
    told = start(tmp_path, *plug, "--impl=mymodel", "--collect-only", "-q", path=(ROOT, tmp_path))
    assert told.returncode == 0, told.stdout + told.stderr
    assert (told.stdout + told.stderr).count("Another project's distribution") == 1


@pytest.mark.parametrize("file", ("plumbline/__init__.py", "plumbline.py"))
def test_a_module_in_front_of_ours_is_wrong_use(tmp_path: Path, file: str) -> None:
    """What is found first is named, with its distribution where it has one."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("")
    program = (
        f"import runpy, sys; sys.path.insert(1, {str(ROOT)!r}); sys.argv = ['plumbline', 'list'];"
        f"runpy.run_path({SCRIPT!r}, run_name='__main__')"
    )
    alone = start(tmp_path, "-c", program)
    shown = tmp_path / file.removesuffix("/__init__.py")
    assert alone.returncode == 4 and f"imports `plumbline` from {shown}," in alone.stderr
    assert "Rename it, or run from another directory" in alone.stderr and "uninstall" not in alone.stderr
    distribution(tmp_path, "plumbline", f"{file},,\n")
    installed = start(tmp_path, "-c", program)
    assert installed.returncode == 4 and "-m pip uninstall plumbline plumbline-llm" in installed.stderr


def test_nothing_is_said_of_ours(tmp_path: Path) -> None:
    """Ours under both spellings, an earlier installation of ours, a folder without code, a project with a like name."""
    points = "[pytest11]\nplumbline = plumbline\n"
    distribution(tmp_path / "one", "plumbline-llm", "plumbline.py,,\n", "plumbline\nharness\n", points)
    distribution(tmp_path / "two", "Plumbline_LLM", "plumbline.py,,\n")
    distribution(tmp_path / "three", "plumbline", "plumbline.py,,\n", "plumbline\n", points)
    distribution(tmp_path / "four", "plumbline-tools", "plumbline_tools/__init__.py,,\nplumbline.pyi,,\n")
    (tmp_path / "plumbline").mkdir()
    places = tuple(tmp_path / name for name in ("one", "two", "three", "four"))
    done = start(tmp_path, SCRIPT, "list", "gelu", path=(tmp_path, *places))
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_another_checkout_of_ours_is_not_reported(tmp_path: Path) -> None:
    """Two checkouts on the path are one project."""
    for name in ("harness", "specs", "reference_model"):
        (tmp_path / name).mkdir()
    (tmp_path / "plumbline.py").write_text("")
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import plumbline; sys.path[:0] = [{str(tmp_path)!r}];"
        "print(repr(plumbline.hidden_module()))"
    )
    done = start(tmp_path, "-c", program)
    assert done.stdout.strip() == "''", done.stdout + done.stderr
