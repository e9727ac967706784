"""A class is graded from outside: who dies touches nobody, and what was judged is not judged twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import classroom
import pytest

from harness.cli import main
from harness.grading.checks import ROOT
from harness.isolation import processes

pytestmark = pytest.mark.skipif(not processes.supported(), reason="processes are watched through Linux's /proc")
COMPARED = ("grade.json", "feedback.md", "results.json")


def grade(folder: Path, *arguments: str) -> int:
    return main(["grade", str(folder / "class"), "--rubric", str(folder / "rubric.toml"), "--jobs", "2", *arguments])


def grade_of(out: Path, name: str) -> dict:
    return json.loads((out / name / "grade.json").read_text())


def left_behind(folder: Path) -> list[str]:
    """Processes that still run in a folder below this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            here = os.readlink(entry / "cwd") if entry.name.isdigit() else ""
        except OSError:
            continue
        found += [entry.name] if here.startswith(str(folder)) else []
    return found


def test_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of every kind: each gets what it deserves; nothing is left running; then again, in part, in other ways."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    students, out = classroom.small_class(), tmp_path / "grades"
    classroom.write(students, tmp_path / "class")
    classroom.rubric(tmp_path / "rubric.toml")
    assert grade(tmp_path, "--out", str(out)) == 0
    assert not [wrong for student in students for wrong in classroom.check(student, grade_of(out, student.name))]
    assert left_behind(tmp_path / "tmp") == [] and list((tmp_path / "tmp").iterdir()) == []
    said = capsys.readouterr().out
    assert "10 of 10  " in said and "layer_norm.eps_outside_the_root" in said
    with (out / "grades.csv").open(newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert list(rows) == sorted(student.name for student in students)
    assert rows["ada"]["total"] == "10.00" and rows["w05"]["findings"] == "layer_norm.eps_outside_the_root"
    told = [file for kind in ("feedback.md", "results.json") for file in out.glob(f"*/{kind}")]
    assert len(told) == 20 and not [
        file for file in told if "271828" in file.read_text() or str(tmp_path) in file.read_text()
    ]
    page = (out / "class.html").read_text()
    assert "quin" in page and "eps is added to the standard deviation" in page

    # What is known is not judged again; other points and hints need no judging.
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert grade(tmp_path, "--out", str(out)) == 0
    assert "10 of 10 were judged before" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    classroom.rubric(
        tmp_path / "rubric.toml", more='hints = "line"', parts="[components.layer_norm.weights]\ndeterministic = 0\n"
    )
    assert grade(tmp_path, "--out", str(out)) == 0
    assert "10 of 10 were judged before" in capsys.readouterr().out
    assert "w05.py:" in (out / "w05" / "feedback.md").read_text()
    assert "w05.py:" not in before[out / "w05" / "feedback.md"].decode()

    # Others, without namespaces, elsewhere: the same grades, to the byte; who kills what watches it harms itself alone.
    classroom.rubric(tmp_path / "rubric.toml")
    again = [student for student in students if student.name in ("quin", "vera", "w05")]
    for student in students:
        if student not in again:
            for path in student.files:
                (tmp_path / "class" / path).unlink()
    (tmp_path / "class" / "bela" / "notes.txt").unlink(missing_ok=True)
    (tmp_path / "class" / "bela").rmdir()
    assert grade(tmp_path, "--out", str(tmp_path / "others"), "--no-namespaces", "--force") == 0
    for student in again:
        assert not classroom.check(student, grade_of(tmp_path / "others", student.name))
        for name in COMPARED:
            same = (tmp_path / "others" / student.name / name).read_bytes() == before[out / student.name / name]
            assert same or student.name == "vera", f"{student.name}/{name}"  # what died there was another process
    assert left_behind(tmp_path / "tmp") == []


CHEAT = """
import plumbline
from _pytest.config import Config
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Journal":
        inner = thing.write
        def write(inner=inner, **entry):
            if "verdict" in entry:
                entry["verdict"] |= {"status": "passed", "cases": 0}
            inner(**entry)
        thing.write = write
"""


def test_one_submission_a_fresh_seed_and_a_record_that_was_written_by_hand(tmp_path: Path) -> None:
    """`--single`, as Gradescope calls it: a seed is drawn and kept; what the machine would not write does not count."""
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "mymodel.py").write_text(classroom.text("gelu.relu", top=CHEAT))
    rubric = classroom.rubric(tmp_path / "rubric.toml", seed=None)
    rubric.write_text(rubric.read_text().partition("[components.layer_norm]")[0])
    assert grade(tmp_path, "--out", str(tmp_path / "out"), "--single") == 0
    found = grade_of(tmp_path / "out", "class")
    assert found["total"] == 0 and found["suspicious"] == ["it wrote verdicts that Plumbline did not make"]
    kept = tmp_path / "out" / "grading.json"
    seed = json.loads(kept.read_text())["seed"]
    assert 100_000_000 <= seed < 1_000_000_000 and kept.stat().st_mode & 0o077 == 0
    assert str(seed) not in "".join(
        (tmp_path / "out" / "class" / name).read_text() for name in ("feedback.md", "results.json")
    )


def test_a_submission_apart_from_its_judge(tmp_path: Path) -> None:
    """One that swaps what its judge compares with: nothing of that reaches the process that judges it."""
    swap = (
        "import sys\nfor name, module in list(sys.modules.items()):\n    if name.startswith('harness.'):\n"
        "        for one in [n for n, v in vars(module).items() if callable(v) and n[0] != '_']:\n"
        "            if 'compare' in name or 'judg' in name:\n                setattr(module, one, None)\n"
    )
    cheat = classroom.alone("cheat", f"import torch\n{swap}\ndef gelu(x):\n    return torch.zeros_like(x)\n")
    classroom.write([cheat], tmp_path / "class")
    classroom.rubric(tmp_path / "rubric.toml", more='isolation = "process"')
    assert grade(tmp_path, "--out", str(tmp_path / "grades")) == 0
    judged = grade_of(tmp_path / "grades", "cheat")
    claims = judged["components"]["gelu"]["claims"]
    assert judged["state"] == "judged" and judged["deaths"] == []
    assert claims["agrees_with_the_reference"] == "failed" and claims["deterministic"] == "passed"


def test_an_interruption_leaves_everything_whole(tmp_path: Path) -> None:
    """Ctrl-C, while one hangs where no alarm reaches it: it is ended; what was judged is there, and is not judged
    again."""
    by_name = {student.name: student for student in classroom.whole_class()}
    hanging = classroom.alone("zeno", by_name["sven"].files["sven.py"])
    classroom.write([by_name["hank"], by_name["jane"], hanging], tmp_path / "class")
    rubric = classroom.rubric(tmp_path / "rubric.toml", {**classroom.QUICK, "check_seconds": 200})
    rubric.write_text(rubric.read_text().partition("[components.gelu]")[0] + "[components.rms_norm]\npoints = 1\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "TMPDIR": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "plumbline",
        "grade",
        "class",
        "--rubric",
        "rubric.toml",
        "--out",
        "out",
        "--jobs",
        "1",
    ]
    # A shell that starts our tests in the background has Ctrl-C ignored, by them and by all that they start.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=heard)
    assert run.stdout is not None
    lines = [run.stdout.readline(), run.stdout.readline()]
    until = time.monotonic() + 900
    while not list(tmp_path.glob("plumbline-*/journal/*.jsonl")) and time.monotonic() < until:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=900)
    assert run.returncode == 130 and "results so far are in out" in rest and "hank" in lines[0] and "jane" in lines[1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "class.html",
        "class.json",
        "grades.csv",
        "hank",
        "jane",
    ]
    assert (tmp_path / "out" / "grades.csv").read_text().count("\n") == 3
    until = time.monotonic() + 900
    while (running := left_behind(tmp_path / "plumbline-")) and time.monotonic() < until:
        time.sleep(0.05)
    assert running == [] and list(tmp_path.glob("plumbline-*")) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no folder of submissions"),
        (("class",), "--rubric is missing; `plumbline grade --example-rubric"),
        (("class", "--rubric", "rubric.toml", "--jobs", "0"), "--jobs must be at least 1, not 0"),
        (("absent", "--rubric", "rubric.toml"), "no such file or folder: absent"),
        (("class", "--rubric", "rubric.toml"), "class has no submission"),
        (
            ("class", "--rubric", "rubric.toml", "--slurm", "--slurm-option", "gpu"),
            "--slurm-option takes KEY=VALUE, not 'gpu'",
        ),
        (("class", "--rubric", "rubric.toml", "--user", "no_such_user"), "--user"),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to do; exit code 4."""
    (tmp_path / "class").mkdir()
    classroom.rubric(tmp_path / "rubric.toml")
    monkeypatch.chdir(tmp_path)
    assert main(["grade", *arguments]) == 4
    assert told in capsys.readouterr().err


def test_the_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """To be redirected into a file."""
    assert main(["grade", "--example-rubric"]) == 0
    assert "[components." in capsys.readouterr().out


def test_a_cluster_does_the_same_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through submitit, with its executor for this machine; the jobs are those that Slurm would get."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
    student = classroom.wrong("w00", "gelu.relu")
    classroom.write([student, classroom.alone("jane", "")], tmp_path / "class")
    rubric = classroom.rubric(tmp_path / "rubric.toml")
    rubric.write_text(rubric.read_text().partition("[components.layer_norm]")[0])
    assert grade(tmp_path, "--out", str(tmp_path / "out"), "--slurm", "local") == 0
    found = grade_of(tmp_path / "out", "w00")
    assert found["findings"] == ["gelu.relu"] and 0 < found["total"] < found["points"] and found["state"] == "judged"
    assert "offers no component" in grade_of(tmp_path / "out", "jane")["why"]
    assert (tmp_path / "out" / "grades.csv").read_text().count("\n") == 3
