"""The floor plan is enforced: who may import whom, and what the machine may not know."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("harness", "specs", "reference_model", "plumbline", "tests")

SHARED = ("specs.shared", "specs.naming", "specs.workloads")

FLOORS = (
    (("harness/cli.py",), 13),
    (("harness/commands/", "harness/pytest_plugin/"), 12),
    (("harness/grading/", "harness/mutation/", "harness/study/", "harness/training/", "harness/curves/"), 11),
    (("harness/judging/",), 10),
    (("harness/diagnosis/", "harness/benchmark/", "harness/localisation/", "harness/isolation/"), 9),
    (("harness/discovery/",), 8),
    (("harness/arrays/",), 7),
    (("harness/modules/",), 6),
    (("harness/execution/", "harness/project/"), 5),
    (("harness/claims/", "harness/stubs/", "harness/reports/"), 4),
    (("harness/numerics/", "harness/strategies/"), 2),
    (("harness/core/",), 1),
)
"""Every room of harness and its height: a file imports only from below, and from its own room."""


def sources() -> list[Path]:
    folders = ("harness", "specs", "reference_model")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))] + [ROOT / "plumbline.py"]


def imports(path: Path) -> list[tuple[str, bool]]:
    """(dotted name, at module level) of every import of ours in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [
                f"{node.module}.{alias.name}" for alias in node.names if (ROOT / node.module.replace(".", "/")).is_dir()
            ]
        found += [(name, id(node) not in inner) for name in names if name.split(".")[0] in OURS]
    return found


def floor(name: str) -> tuple[int, str]:
    """Height of a file or module of harness, and its room."""
    as_path = name.replace(".", "/")
    for prefixes, height in FLOORS:
        for prefix in prefixes:
            room = prefix.removesuffix(".py").removesuffix("/")
            if as_path == room or as_path.startswith((room + "/", room + ".py")):
                return height, room
    return 0, "harness"


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_downwards_only(path: Path) -> None:
    """No file imports from its own floor's other rooms or from above; see the table in ARCHITECTURE.md."""
    me = path.relative_to(ROOT).as_posix()
    for target, at_top in imports(path):
        top = target.split(".")[0]
        problem = f"{me} imports {target}"
        if me.startswith("reference_model/"):
            assert top == "reference_model", f"{problem}: the reference imports nothing of ours"
        elif me.startswith("specs/bugs/"):
            allowed = target.startswith(("harness.core", "reference_model", "specs.bugs._"))
            assert allowed or target == "specs.bugs", problem
        elif me.startswith("specs/"):
            allowed = target.startswith(
                ("harness.core", "harness.numerics", "harness.strategies", "reference_model", *SHARED)
            )
            assert allowed or target == "specs", (
                f"{problem}: a sheet knows the nouns, numerics, domains and the reference"
            )
        elif me == "plumbline.py":
            is_for_types = target.startswith("harness.training")
            assert not at_top or is_for_types, f"{problem} at its top: the front door loads nothing until asked"
            needed = ("pytest_plugin", "cli", "training", "curves", "study")
            allowed = target.startswith(tuple(f"harness.{name}" for name in needed))
            assert allowed, f"{problem}: it needs these five only"
        else:
            assert top == "harness", f"{problem}: the machine knows no component"
            here, room = floor(me)
            there, other = floor(target)
            assert there < here or room == other or target == "harness", f"{problem}: {room} may not know {other}"


def test_the_machine_does_not_know_what_it_checks() -> None:
    """The word "attention" does not occur in harness/."""
    knowing = [
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / "harness").rglob("*.py")
        if "attention" in p.read_text(encoding="utf-8").lower()
    ]
    assert not knowing


def test_the_rule_would_notice_a_wrong_import(tmp_path: Path) -> None:
    """The reader of imports sees both forms, at the top and inside functions."""
    file = tmp_path / "wrong.py"
    file.write_text("from harness.judging.judge import Bench\ndef f():\n    import specs.gelu\n")
    assert ("harness.judging.judge", True) in imports(file)
    assert ("specs.gelu", False) in imports(file)
    assert floor("harness/core/case.py")[0] < floor("harness.judging.judge")[0] < floor("harness.cli")[0]


def test_the_front_door_loads_nothing_until_asked() -> None:
    """Importing plumbline brings in neither torch nor any package of ours."""
    import subprocess
    import sys

    names = "('torch', 'harness', 'specs', 'reference_model', 'hypothesis')"
    code = f"import sys, plumbline; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_path_of_a_machine_is_committed() -> None:
    """Nothing in the project names a folder of the machine it was written on."""
    marks = ("/" + "work/", "/" + "root/")
    folders = ("harness", "specs", "reference_model", "tests", "examples", "docs")
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in (".py", ".md", ".toml", ".ini", ".txt")]
    assert not [p for p in files if any(mark in p.read_text(encoding="utf-8") for mark in marks)]


def test_our_tests_hide_no_package() -> None:
    """tests/harness is no package of ours: with tests/ on the path, the main job in this folder would find it first."""
    import sys

    searched = {Path(entry).resolve() for entry in sys.path if entry}
    assert ROOT / "tests" not in searched
