"""The counts, on a small tree made up for it in which each is known."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import code_counts
import pytest
from source_counts import Counts, count_file, count_folder, needs_docstrings
from text_decisions import text_decisions

ROOT = Path(__file__).resolve().parents[2]

CASE = '''from typing import Any

class Case:
    """A case."""

    def shown(self, width: int, options: dict[str, Any]) -> str:
        return self.name if width else ""

    def _inner(self, anything: Any) -> None: ...

    @property
    def size(self) -> int:
        """How many."""
        return 1

    @size.setter
    def size(self, value: int) -> None: ...


def said(verdict, notes):
    return "wrong" in verdict.message.lower() or "taken as" in notes
'''

HARNESS = {
    "__init__.py": "",
    "core/__init__.py": "",
    "core/case.py": CASE,
    "core/_private.py": "def hidden(x: int):\n    pass\n",
    "adapters/door.py": '"""Doors."""\ndef play():\n    pass\n',
    "reports/text.py": "def long():\n" + "    x = 1  # fmt: skip\n" * 40 + "    return '# fmt: skip'\n",
    "plugin.py": "x = 1\n" * 301 + f"y = '{'y' * 120}'\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name, text in HARNESS.items():
        (root / "harness" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "harness" / name).write_text(text)
    (root / "specs" / "bugs").mkdir(parents=True)
    (root / "specs" / "__init__.py").write_text("")
    (root / "specs" / "bugs" / "__init__.py").write_text("")
    (root / "specs" / "gelu.py").write_text("def gelu(x: 'float', y: float) -> float:\n    return x+y\n")
    (root / "specs" / "bugs" / "gelu.py").write_text("# " + "b" * 200 + "\n")
    (root / "reference_model").mkdir()
    (root / "plumbline.py").write_text("def main():\n    return 0\n")
    (root / "tests" / "core").mkdir(parents=True)
    (root / "tests" / "core" / "test_case.py").write_text("def test_case():\n    pass\n")
    return root


def test_sizes_and_lines(tree: Path) -> None:
    """Files, functions, long lines with the tables apart; a skip in a string is no skip."""
    harness, specs = count_folder(tree, "harness"), count_folder(tree, "specs")
    assert (harness.files, harness.long_files) == (7, ["harness/plugin.py: 302 lines"])
    assert (harness.functions, harness.long_functions) == (8, ["harness/reports/text.py:1: long, 42 lines"])
    assert (harness.long_lines, harness.long_lines_in_tables, harness.format_skips) == (1, 0, 40)
    assert (specs.long_lines, specs.long_lines_in_tables, specs.format_skips) == (0, 1, 0)


def test_limits_are_what_may_just_be() -> None:
    """300 lines, 40 lines and 120 characters are allowed; one more is not."""
    counts = Counts()
    body = "    x = 1\n"
    count_file("harness/a.py", "#\n" * 299 + "#" * 120 + "\n", counts)
    count_file("harness/b.py", "@mark\ndef f():\n" + body * 39, counts)
    assert (counts.long_files, counts.long_functions, counts.long_lines) == ([], [], 0)
    count_file("harness/a.py", "#\n" * 300 + "#" * 121 + "\n", counts)
    count_file("harness/b.py", "async def f():\n" + body * 40, counts)
    assert len(counts.long_files) == len(counts.long_functions) == counts.long_lines == 1


def test_any_in_annotations() -> None:
    """Alone or inside; star arguments count, parameters without annotation do not."""
    counts = Counts()
    count_file("a.py", "def f(self, a: Any, b: int, /, *c: typing.Any, d: list[Any] = (), **e: str): ...\n", counts)
    assert (counts.annotated_parameters, counts.any_parameters, counts.only_any_parameters) == (5, 3, 2)


def test_public_objects_without_docstring(tree: Path) -> None:
    """Modules, functions, classes and methods of the packages of nouns; nothing private, no setter, no empty module."""
    counts = count_folder(tree, "harness")
    assert counts.without_docstring == [
        "harness/adapters/door.py:2: play",
        "harness/core/case.py:1: the module",
        "harness/core/case.py:6: Case.shown",
        "harness/core/case.py:20: said",
    ]
    assert counts.public_objects == 7
    assert needs_docstrings("harness/execution/executor.py") and needs_docstrings("harness/modules/__init__.py")
    assert not needs_docstrings("harness/reports/text.py") and not needs_docstrings("specs/core/x.py")


@pytest.mark.parametrize(
    "source",
    (
        'if "gradient" in claim.name: pass',
        'if claim.name.startswith("variant="): pass',
        'x = plan.note.lower()[:5].endswith(("as you said", "as declared"))',
        'if "taken as" not in self.note: pass',
        'wrong = "WRONG" in line',
        'if verdict.status != "violated": pass',
        'if crash.kind in ("timed out", "to do"): pass',
        'if record["status"] == "failed": pass',
        '[v for v in verdicts if "failed" == v.status]',
        'match crash.kind:\n    case "raised" | "hung": pass\n    case _: pass',
    ),
)
def test_a_decision_on_text_is_found(source: str) -> None:
    """The forms that were in the project, and their like."""
    assert len(text_decisions(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    (
        "if verdict.status is Status.FAILED: pass",
        "if verdict.status == FAILED: pass",
        'if path.suffix == ".py": pass',
        'if claim.name.startswith("_"): pass',
        'if "." in argument.name: pass',
        'if name == "weight": pass',
        'if mode == "train": pass',
        'if crash.kind < "b": pass',
        'match command:\n    case "run": pass',
        'print(verdict.message, "failed")',
    ),
)
def test_other_comparisons_are_no_decision_on_text(source: str) -> None:
    """Enum members, constants, syntax, keys of a loop, and text that is only shown."""
    assert text_decisions(ast.parse(source)) == []


def test_the_tools_are_counted(tree: Path) -> None:
    """Files that the formatter would change and strict errors, by folder and by file."""
    reformatted = code_counts.files_to_reformat(tree)
    if reformatted is not None:
        assert reformatted["specs"] == 1 and reformatted["reference_model"] == 0
    strict = code_counts.strict_errors(tree, ["harness", "specs"])
    if strict is not None:
        assert strict["harness/core/case.py"] >= 1 and strict["plumbline.py"] == 1
        assert "specs/gelu.py" not in strict


def test_a_tool_that_is_not_installed_is_said(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rather than a count of zero."""
    monkeypatch.setattr(code_counts, "files_to_reformat", lambda root: None)
    monkeypatch.setattr(code_counts, "strict_errors", lambda root, folders: None)
    assert code_counts.main(["--root", str(tree), "--json", str(tmp_path / "c.json")]) == 0
    shown = capsys.readouterr().out
    assert "ruff is not installed" in shown and "mypy is not installed" in shown
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["strict_errors"] is None and written["files_to_reformat"] is None


def test_the_table_the_places_and_the_file(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A column for each folder and their sum; the places behind them; time by test file; all of it in the JSON."""
    monkeypatch.setattr(code_counts, "files_to_reformat", lambda root: Counter(specs=2, tests=3))
    monkeypatch.setattr(
        code_counts, "strict_errors", lambda root, folders: Counter({"specs/gelu.py": 4, "plumbline.py": 1})
    )
    junit = tmp_path / "junit.xml"
    junit.write_text(
        '<testsuites><testsuite><testcase classname="tests.core.test_case.TestIt" name="a" time="1.5"/>'
        '<testcase classname="tests.core.test_case" name="b" time="2.5"/>'
        '<testcase classname="elsewhere.test_x" name="c" time="99"><properties><property name="processor_seconds" '
        'value="12"/></properties></testcase></testsuite></testsuites>'
    )
    arguments = ["--root", str(tree), "--verbose", "--tests", str(junit), "--json", str(tmp_path / "c.json")]
    assert code_counts.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:34].strip(): line[34:].split() for line in lines}
    assert rows["files"] == ["7", "4", "0", "11"]
    assert rows["functions over 40 lines"] == ["1", "0", "0", "1"]
    assert rows["share of functions"] == ["12.5%", "0.0%", "-", "11.1%"]
    assert rows["mypy --strict: errors"] == ["0", "4", "0", "5"]
    assert rows["mypy --strict: files with errors"] == ["0", "1", "0", "2"]
    assert "files ruff format would change in the whole project: 5" in lines
    assert '  harness/core/case.py:21: return "wrong" in verdict.message.lower() or "taken as" in notes' in lines
    assert [line.split() for line in lines[-2:]] == [
        ["12.0", "75.0%", "elsewhere.test_x"],
        ["4.0", "25.0%", "tests/core/test_case.py"],
    ]
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["folders"]["harness"]["long_files"] == ["harness/plugin.py: 302 lines"]
    assert written["test_seconds"] == {"tests/core/test_case.py": 4.0, "elsewhere.test_x": 12.0}


def test_what_cannot_be_counted_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No checkout, and a file that does not parse: exit code 2 and what is wrong, no table."""
    assert code_counts.main(["--root", str(tmp_path)]) == 2
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "broken.py").write_text("def :\n")
    assert code_counts.main(["--root", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "none of the folders" in told.err and "broken.py" in told.err


def test_our_own_tree_can_be_counted() -> None:
    """Every file parses, and every folder has some."""
    for folder in code_counts.FOLDERS:
        counts = count_folder(ROOT, folder)
        assert counts.files > 20 and counts.functions > 100
