"""A run of pytest with an implementation in a process of its own: its exit code, its record, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support_runs import ROOT, Runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are started from POSIX systems' sockets")

GELU = (
    "import math, os, torch\ndef gelu(x):\n    {first}\n"
    "    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))\n"
)


@pytest.mark.parametrize(
    ("first", "code", "told"),
    [
        ("pass", 0, "isolation=process"),
        ("os._exit(0)", 1, "its process ended (exit status 0)"),
        ("import threading; threading.Timer(0.0, os._exit, [0]).start(); threading.Event().wait()", 1, "exit status 0"),
    ],
    ids=["right", "an exit", "a thread that exits"],
)
def test_the_exit_code_is_the_judges(tmp_path: Path, runs: Runs, first: str, code: int, told: str) -> None:
    (tmp_path / "mine.py").write_text(GELU.format(first=first))
    claims = ["gelu::agrees_with_the_reference", "gelu::deterministic"]
    done = runs.start(tmp_path, ["--impl=mine.py", "--impl-isolation=process", "--impl-cases=3", *claims])
    assert done.code == code and told in done.output, done.output
    record = json.loads((tmp_path / ".plumbline" / "run.json").read_text())
    assert record["isolation"] == "process" and record["finished"] is True
    assert len(record["verdicts"]) == sum(record["planned"].values()) == 2


def test_nothing_judged_is_never_fine(tmp_path: Path, runs: Runs) -> None:
    (tmp_path / "mine.py").write_text("import os\nos._exit(0)\n" + GELU.format(first="pass"))
    done = runs.start(tmp_path, ["--impl=mine.py", "--impl-isolation=process"])
    assert done.code == 4 and "its process ended (exit status 0). No check was run" in done.output
    misspelt = runs.start(tmp_path, ["--impl=mine.py", "--impl-isolation=sandbx"])
    assert misspelt.code == 4 and "did you mean sandbox" in misspelt.output


def test_what_runs_here_all_the_same_is_told(tmp_path: Path, runs: Runs) -> None:
    claim = "gelu::deterministic"
    done = runs.start(tmp_path, ["--impl=mistake:gelu.relu", "--impl-isolation=process", "--impl-cases=1", claim])
    record = json.loads((tmp_path / ".plumbline" / "run.json").read_text())
    assert done.code == 0 and record["isolation"] == "none"
    assert any(note["code"] == "in process" for note in record["notes"])


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")
def test_nothing_is_left_of_a_judge_that_is_killed(tmp_path: Path) -> None:
    """Neither its processes, one of which left its session, nor the scratch folder."""
    (tmp_path / "mine.py").write_text(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n    os._exit(0)\n"
        f"open({str(tmp_path / 'begun')!r}, 'w').write(os.getcwd())\n"
        "def gelu(x):\n    while True:\n        pass\n"
    )
    command = [sys.executable, "-m", "pytest", "--impl=mine.py", "--impl-isolation=process", "-q", "-k", "gelu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as judge:
        while not (tmp_path / "begun").is_file() or not (tmp_path / "begun").read_text():
            assert judge.poll() is None
            time.sleep(0.1)
        scratch = Path((tmp_path / "begun").read_text())
        judge.kill()
    until = time.monotonic() + 60
    while time.monotonic() < until and (scratch.exists() or _in(scratch)):
        time.sleep(0.1)
    assert not scratch.exists() and _in(scratch) == []


def _in(folder: Path) -> list[str]:
    """The processes whose current folder is, or was, this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd").startswith(str(folder)):
                found.append(entry.name)
        except OSError:
            continue
    return found
