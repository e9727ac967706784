"""A class of forty and more, graded: whether every grade is as it must be, the same twice, and what it costs.

    python tests/benchmarks/grading_a_class.py [--jobs N] [--once] [--singles N]

The class (tests/support/classroom.py) has right submissions, one with each of 18 known mistakes, half-done ones, and
those that crash, hang, exit, print without end, eat memory, fork, kill, cheat. Its time stands beside what its
members took one after the other, and beside ``pytest --impl=...`` as a person would start it for each (measured on
the first N that come to an end by themselves).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPARED = ("grade.json", "feedback.md", "results.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--once", action="store_true", help="do not grade it a second time")
    parser.add_argument("--singles", type=int, default=3, help="how many are also judged by pytest alone")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
    import classroom

    students = classroom.whole_class()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        classroom.write(students, folder / "class")
        classroom.rubric(folder / "rubric.toml")
        took = _graded(folder, options.jobs, "first")
        wrong = [
            one for student in students for one in classroom.check(student, _grade(folder / "first", student.name))
        ]
        alone = sum(json.loads((folder / "first" / s.name / "judged.json").read_text())["seconds"] for s in students)
        print(
            f"\n{len(students)} submissions, "
            f"{len(students) - len({one.partition(' ')[0] for one in wrong})} graded as they must be"
        )
        print("\n".join(f"    {one}" for one in wrong), end="\n" if wrong else "")
        print(
            f"the class took {took:.1f} s with {options.jobs} at a time; "
            f"its members, one after the other, {alone:.1f} s"
        )
        if not options.once:
            _graded(folder, options.jobs, "second")
            other = [
                s.name
                for s in students
                for name in COMPARED
                if _bytes(folder, "first", s.name, name) != _bytes(folder, "second", s.name, name)
            ]
            tables = [
                n
                for n in ("grades.csv", "class.json", "class.html")
                if _bytes(folder, "first", n) != _bytes(folder, "second", n)
            ]
            print(f"graded twice, differing: {', '.join([*dict.fromkeys(other), *tables]) or 'nothing, to the byte'}")
        whole = [s for s in students if not s.lost and len(s.files) == 1][: options.singles]
        if whole:
            each = [_single(folder / "class" / next(iter(s.files))) for s in whole]
            mean = sum(each) / len(each)
            print(
                f"pytest alone, of {len(each)} right ones: {mean:.1f} s each; "
                f"{len(students)} such: {len(students) * mean:.0f} s"
            )
    return 1 if wrong else 0


def _graded(folder: Path, jobs: int, out: str) -> float:
    started = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "plumbline",
        "grade",
        "class",
        "--rubric",
        "rubric.toml",
        "--jobs",
        str(jobs),
        "--out",
        out,
    ]
    subprocess.run(command, cwd=folder, env=_environment(), check=True)
    return time.perf_counter() - started


def _single(file: Path) -> float:
    import classroom

    started = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "plumbline",
        f"--impl={file}",
        "--impl-effort=quick",
        "-q",
        "--impl-seed=271828",
    ]
    command += [f"--impl-select={name}" for name in classroom.COMPONENTS]
    subprocess.run(command, cwd=file.parent, env=_environment(), check=True, capture_output=True)
    return time.perf_counter() - started


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _grade(out: Path, name: str) -> dict:
    return json.loads((out / name / "grade.json").read_text())


def _bytes(folder: Path, *names: str) -> bytes:
    return folder.joinpath(*names).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
