"""What somebody's errors say never breaks a run: not alone, not shared among processes, and not one of its faces."""

import json
from pathlib import Path

import pytest
from support_formats import CHECKS, strict
from support_records import WORST
from support_runs import Runs

from harness.core.record import Status
from harness.reports import json_file
from harness.reports.writing import formats

CODE = """
WORDS = {words!r}

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("its text raises an error")

def gelu(x):
    raise ValueError("".join(WORDS))

def layer_norm(x, weight, bias, eps):
    raise KeyError(WORDS[4])

def softmax(x, dim):
    raise Silent
"""
CHECKED = ("gelu::deterministic", "layer_norm::deterministic", "softmax::deterministic")


@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["alone", "shared"])
def test_a_run_survives_what_errors_say(processes, runs: Runs, tmp_path: Path) -> None:
    """Lone surrogates, orders to the terminal, 200 kB, an error without a text: judged, written, told."""
    (tmp_path / "bad.py").write_text(CODE.format(words=WORST), encoding="utf-8")
    faces = "--impl-report=" + ",".join(formats())
    code, output = runs.start(tmp_path, ["-q", "--impl=./bad.py", "--impl-effort=quick", faces, *processes, *CHECKED])
    assert code == 1 and "INTERNALERROR" not in output and "Traceback" not in output
    assert len(output) < 60_000 and "its own text raises RuntimeError" in " ".join(output.split())
    strict((tmp_path / ".plumbline" / "run.json").read_text(encoding="utf-8"))
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert {v.component: v.status for v in record.verdicts} == dict.fromkeys(
        ("gelu", "layer_norm", "softmax"), Status.CRASHED
    )
    for name, check in CHECKS.items():
        check((tmp_path / formats()[name].file).read_text(encoding="utf-8"), record)
    kept = [
        json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / ".plumbline" / "failures").glob("*.json")
    ]
    assert kept and all(len(case["message"]) < 5000 for case in kept)
