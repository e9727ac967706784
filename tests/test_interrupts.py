"""Whatever stops a run, and whenever: its record is whole and holds everything that was finished before."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support_runs import Runs

from harness.core.record import RunRecord, Status
from harness.reports import json_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are started by forking")

COMPONENTS = ("gelu", "softmax", "layer_norm", "attention", "block", "gpt2")
MOMENTS = 2
"""Random moments for each signal; PLUMBLINE_SEEDS repeats them with as many seeds."""
SEEDS = range(int(os.environ.get("PLUMBLINE_SEEDS", "1")))


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    started = Runs()
    yield started
    started.close()


def run(runs: Runs, folder: Path, *arguments: str, limit: int = 0) -> tuple[int, str]:
    """A whole run, told line by line."""
    begun = runs.begin(folder, ["-v", "--impl-seed=0", *arguments], limit)
    return runs.wait(begun.number), begun.output.read_text(encoding="utf-8", errors="replace")


def told(line: str) -> bool:
    """Whether a line of ``-v`` tells the outcome of a check."""
    return "::" in line and any(f" {word}" in line for word in ("PASSED", "FAILED", "TO DO", "NOT OFFERED"))


def checks_of(record: RunRecord) -> list[tuple[str, str]]:
    return [(v.component, v.claim) for v in record.verdicts]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_a_signal_at_any_moment_leaves_a_whole_record(
    runs: Runs, tmp_path: Path, how: signal.Signals, seed: int
) -> None:
    """At least what was told on the terminal is in the file; asked to stop politely, it also says so and writes its faces."""
    moments = random.Random(f"{how.name} {seed}")
    for number in range(MOMENTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        options = ("--impl=reference_model", "--impl-cases=5", "--impl-report=run.json,html,csv", "--impl-seed=0", "-v")
        begun = runs.begin(folder, [*options, *COMPONENTS])
        count, output, code = begun.stop_after(moments.randint(1, 90), how, told)
        record = json_file.read(folder / "run.json")
        assert len(record.verdicts) >= count > 0 and len(set(checks_of(record))) == len(record.verdicts)
        assert not record.finished, output
        assert sum(record.planned.values()) > len(record.verdicts) and all(
            v.status == Status.PASSED or not v.failing for v in record.verdicts
        )
        if how is signal.SIGKILL:
            assert code == -signal.SIGKILL
            continue
        assert code == 2, output
        assert (folder / "plumbline.html").is_file() and "did not come to its end" in (
            folder / "plumbline.html"
        ).read_text()
        assert "checks planned" in output, output
        assert ("stopped by SIGTERM" in record.notes) == (how is signal.SIGTERM)
        assert [p.name for p in folder.glob(".run.json.*")] == []


def test_a_record_is_there_before_their_code_runs(runs: Runs, tmp_path: Path) -> None:
    """A module that ends its process, hangs or is killed while it is imported: what the run was about is on disk."""
    (tmp_path / "ends.py").write_text(
        "import json, os\n"
        "kept = json.load(open('.plumbline/run.json'))\n"
        "assert kept['impl'] == 'ends' and not kept['finished'] and kept['order'] and not kept['verdicts']\n"
        "os._exit(9)\n"
    )
    code, output = run(runs, tmp_path, "--impl=ends")
    assert code == 9, output
    assert json_file.read(tmp_path / ".plumbline" / "run.json").impl == "ends"


def test_code_that_ends_the_process_in_a_check_keeps_what_was_judged(runs: Runs, tmp_path: Path) -> None:
    """os._exit in the middle: the checks before it are in the record."""
    (tmp_path / "ends.py").write_text(
        "import os, torch\n"
        "def gelu(x):\n    return torch.nn.functional.gelu(x, approximate='tanh')\n"
        "def softmax(x, dim):\n    os._exit(7)\n"
    )
    code, output = run(runs, tmp_path, "--impl=ends", "--impl-cases=5", "gelu", "softmax")
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert code == 7 and not record.finished, output
    assert {v.component for v in record.verdicts} == {"gelu"} and sum(map(told, output.splitlines())) <= len(
        record.verdicts
    )
    assert len(record.verdicts) == record.planned["gelu"]


def test_a_full_disk_keeps_the_last_whole_record_and_fails_no_check(runs: Runs, tmp_path: Path) -> None:
    """The record outgrows what may be written (a write stops half-way): the run goes on, the file stays whole."""
    code, output = run(
        runs, tmp_path, "--impl=reference_model", "--impl-cases=4", "gelu", "softmax", "layer_norm", limit=30_000
    )
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert code == 0, output
    assert 0 < len(record.verdicts) < sum(map(told, output.splitlines()))
    assert "the record could not be written" in output and "what it held before is still there" in output
    assert [p.name for p in (tmp_path / ".plumbline").iterdir()] == ["run.json"]


def test_a_folder_that_is_not_to_be_written_to_loses_nothing(runs: Runs, tmp_path: Path) -> None:
    """The record goes to a folder for temporary files, and the run says where."""
    (tmp_path / ".plumbline").write_text("a file in the way")
    code, output = run(runs, tmp_path, "--impl=reference_model", "--impl-cases=4", "gelu")
    assert code == 0, output
    place = next(line.removeprefix("record: ") for line in output.splitlines() if line.startswith("record: "))
    record = json_file.read(Path(place))
    shutil.rmtree(Path(place).parent)
    assert record.finished and len(record.verdicts) == sum(map(told, output.splitlines()))
    assert "cannot be written" in output


def test_a_misspelt_name_and_a_mere_listing_leave_the_last_record_alone(runs: Runs, tmp_path: Path) -> None:
    """What was found is not lost for a slip of the hand."""
    (tmp_path / "mine.py").write_text("import torch\ndef softmax(x, dim):\n    return torch.softmax(x, dim)\n")
    assert run(runs, tmp_path, "--impl=mine", "--impl-cases=4", "softmax")[0] == 0
    before = (tmp_path / ".plumbline" / "run.json").read_bytes()
    assert run(runs, tmp_path, "--impl=mien")[0] == 4 and run(runs, tmp_path, "--impl=mine", "--co", "-q")[0] == 0
    assert (tmp_path / ".plumbline" / "run.json").read_bytes() == before
