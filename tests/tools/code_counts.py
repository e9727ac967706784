"""Counts what the rules for the code are about, to compare one state of the project with another.

    python tests/tools/code_counts.py [--root DIR] [--json FILE] [--tests JUNIT.xml] [--verbose]

Needs ruff for the formatter's count and mypy for the strict errors; what is not installed is said and left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from source_counts import Counts, count_folder

FOLDERS = ("harness", "specs", "reference_model")
FRONT = "plumbline.py"
LISTED = ("long_files", "long_functions", "without_docstring", "text_decisions")
STRICT_ERROR = re.compile(r"^(?P<file>[^:\n]+):\d+(?::\d+)?: error: ", re.MULTILINE)
REFORMATTED = re.compile(r"^--- (?P<file>.+?)(?:\t.*)?\n\+\+\+ ", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts. Exit code 2 where the root is no checkout or a file cannot be read."""
    options = _parser().parse_args(arguments)
    root = options.root.resolve()
    folders = [folder for folder in FOLDERS if (root / folder).is_dir()]
    if not folders:
        print(f"code_counts: {root} has none of the folders {', '.join(FOLDERS)}", file=sys.stderr)
        return 2
    try:
        counts = {folder: count_folder(root, folder) for folder in folders}
        tests = seconds_by_file(options.tests, root) if options.tests else None
        reformatted, strict = files_to_reformat(root), strict_errors(root, folders)
    except (OSError, SyntaxError, ElementTree.ParseError) as error:
        print(f"code_counts: {error}", file=sys.stderr)
        return 2
    for line in table(counts, reformatted, strict):
        print(line)
    if options.verbose:
        for line in details(counts):
            print(line)
    if tests is not None:
        for line in times(tests):
            print(line)
    if options.json:
        result = as_json(counts, reformatted, strict, tests)
        options.json.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="code_counts", description=(__doc__ or "").partition("\n")[0])
    here = Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=Path, default=here, metavar="DIR", help="the checkout (default: this one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all counts and places to this file")
    parser.add_argument(
        "--tests", type=Path, metavar="JUNIT.xml", help="a report of pytest --junitxml: seconds by file"
    )
    parser.add_argument("--verbose", action="store_true", help="also list the places that are counted")
    return parser


def files_to_reformat(root: Path) -> Counter[str] | None:
    """How many files `ruff format` would change, by their first folder; None where ruff is not installed."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.is_file() else shutil.which("ruff")
    if ruff is None:
        return None
    done = subprocess.run([ruff, "format", "--diff", "."], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise OSError(f"ruff format failed: {done.stderr.strip()}")
    return Counter(_folder(match["file"]) for match in REFORMATTED.finditer(done.stdout))


def strict_errors(root: Path, folders: Sequence[str]) -> Counter[str] | None:
    """How many errors `mypy --strict` finds, by file; None where mypy is not installed."""
    if importlib.util.find_spec("mypy") is None:
        return None
    checked = [*folders, *([FRONT] if (root / FRONT).is_file() else [])]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--no-color-output", *checked]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise OSError(f"mypy --strict failed: {(done.stderr or done.stdout).strip()}")
    return Counter(match["file"].replace("\\", "/") for match in STRICT_ERROR.finditer(done.stdout))


def seconds_by_file(report: Path, root: Path) -> dict[str, float]:
    """Seconds of each test file, from pytest's JUnit report (set-up and teardown included).

    Processor seconds where the report has them as a property (our conftest.py notes them), wall seconds otherwise.
    """
    seconds: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("file") or _file_of(case.get("classname", ""), root)
        noted = [p.get("value", "0") for p in case.iter("property") if p.get("name") == "processor_seconds"]
        seconds[file] = seconds.get(file, 0.0) + float(noted[0] if noted else case.get("time", "0"))
    return seconds


def _file_of(classname: str, root: Path) -> str:
    """`tests.core.test_case.TestCase` -> `tests/core/test_case.py`; the name itself where there is no such file."""
    parts = classname.split(".")
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[:length]) + ".py"
        if (root / path).is_file():
            return path
    return classname


def table(counts: dict[str, Counts], reformatted: Counter[str] | None, strict: Counter[str] | None) -> list[str]:
    """A row for each count, a column for each folder, and their sum."""
    every = list(counts.values())
    whole = sum(every, Counts())
    columns = [*counts, "sum"]
    rows = [_row("", columns), *(_row(title, [*map(value, every), value(whole)]) for title, value in ROWS)]
    if reformatted is None:
        rows.append("files ruff format would change: ruff is not installed")
    else:
        own = [reformatted[folder] for folder in counts]
        rows.append(_row("files ruff format would change", [*own, sum(own)]))
        rows.append(f"files ruff format would change in the whole project: {sum(reformatted.values())}")
    if strict is None:
        rows.append("mypy --strict: mypy is not installed")
    else:
        by_folder = [{f: n for f, n in strict.items() if _folder(f) == folder} for folder in counts]
        rows.append(_row("mypy --strict: errors", [*(sum(e.values()) for e in by_folder), sum(strict.values())]))
        rows.append(_row("mypy --strict: files with errors", [*map(len, by_folder), len(strict)]))
    return rows


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


ROWS: tuple[tuple[str, Callable[[Counts], object]], ...] = (
    ("files", lambda c: c.files),
    ("files over 300 lines", lambda c: len(c.long_files)),
    ("functions", lambda c: c.functions),
    ("functions over 40 lines", lambda c: len(c.long_functions)),
    ("  share of functions", lambda c: _share(len(c.long_functions), c.functions)),
    ("annotated parameters", lambda c: c.annotated_parameters),
    ("  share that contain Any", lambda c: _share(c.any_parameters, c.annotated_parameters)),
    ("  share that are Any alone", lambda c: _share(c.only_any_parameters, c.annotated_parameters)),
    ("lines over 120 characters", lambda c: c.long_lines),
    ("  those in specs/bugs", lambda c: c.long_lines_in_tables),
    ("fmt: skip", lambda c: c.format_skips),
    ("public objects to be documented", lambda c: c.public_objects),
    ("  without a docstring", lambda c: len(c.without_docstring)),
    ("decisions on text", lambda c: len(c.text_decisions)),
)


def _row(title: str, cells: Sequence[object]) -> str:
    return f"{title:<34}" + "".join(f"{cell!s:>17}" for cell in cells)


def _folder(file: str) -> str:
    return file.replace("\\", "/").partition("/")[0]


def details(counts: dict[str, Counts]) -> list[str]:
    """The places behind the counts."""
    lines = []
    for key in LISTED:
        places = [place for each in counts.values() for place in getattr(each, key)]
        lines += ["", f"{key.replace('_', ' ')}: {len(places)}", *(f"  {place}" for place in places)]
    return lines


def times(tests: dict[str, float]) -> list[str]:
    """The slowest file first, with its share of the sum."""
    whole = sum(tests.values())
    head = ["", f"seconds in tests, by file (sum {whole:.0f})"]
    slowest = sorted(tests.items(), key=lambda item: -item[1])
    return head + [f"{seconds:>9.1f}  {seconds / (whole or 1):>6.1%}  {file}" for file, seconds in slowest]


def as_json(
    counts: dict[str, Counts],
    reformatted: Counter[str] | None,
    strict: Counter[str] | None,
    tests: dict[str, float] | None,
) -> dict[str, object]:
    """All counts and places; what was not counted is null."""
    return {
        "folders": {folder: asdict(each) for folder, each in counts.items()},
        "files_to_reformat": reformatted,
        "strict_errors": strict,
        "test_seconds": tests,
    }


if __name__ == "__main__":
    sys.exit(main())
