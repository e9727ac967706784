"""Whatever stops a run, and whenever: its record is whole and holds everything that was finished before."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from support_lanes import sample
from support_runs import Runs

from harness.core.note import NoteCode
from harness.core.record import RunRecord
from harness.reports import json_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are started by forking")

QUICK = ("--impl=reference_model", "--impl-cases=1", "--impl-report=run.json,html,csv", "gelu")
STRIKER = """
import os, signal
import pytest
from harness.judging.inspection import Inspection
from harness.pytest_plugin import items, run_state
from harness.reports import json_file

strikes = {strikes!r}

def strike():
    strikes.append(None)
    if len(strikes) == 3:
        os.kill(os.getpid(), signal.{how})

def before(owner, name):
    inner = getattr(owner, name)
    def struck(*arguments, **options):
        strike()
        return inner(*arguments, **options)
    setattr(owner, name, struck)

"""
"""A conftest.py that sends its own process a signal: when ``strike()`` is called for the third time."""
ONCE, THIRD = [None, None], list[None]()
"""What ``strikes`` begins with, for points that are reached once, and for those that are reached in each check."""
LATE = "@pytest.hookimpl(trylast=True)\ndef pytest_sessionstart():\n    "
POINTS: dict[str, tuple[list[None], str]] = {
    "collection": (ONCE, "def pytest_collection_modifyitems(): strike()"),
    "between collection and the loop": (ONCE, "def pytest_collection_finish(): strike()"),
    "start of a check": (THIRD, "def pytest_runtest_logstart(): strike()"),
    "setup": (THIRD, "def pytest_runtest_setup(): strike()"),
    "before judging": (THIRD, "def pytest_runtest_call(): strike()"),
    "judging": (THIRD, LATE + "before(Inspection, 'judge')"),
    "attaching the verdict": (THIRD, LATE + "before(run_state.RunState, 'attach')"),
    "making a report": (THIRD, "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_makereport(): strike()"),
    "report made": (
        THIRD,
        "@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_runtest_makereport():\n"
        "    report = yield\n    strike()\n    return report",
    ),
    "before the verdict is taken": (THIRD, "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_logreport(): strike()"),
    "after the verdict is taken": (THIRD, "@pytest.hookimpl(trylast=True)\ndef pytest_runtest_logreport(): strike()"),
    "encoding the record": (THIRD, LATE + "before(json_file, 'encode')"),
    "writing the record": (THIRD, LATE + "before(json_file.os, 'replace')"),
    "end of a check": (THIRD, "def pytest_runtest_logfinish(): strike()"),
    "teardown": (THIRD, "def pytest_runtest_teardown(): strike()"),
    "start of the end": (ONCE, "@pytest.hookimpl(tryfirst=True)\ndef pytest_sessionfinish(): strike()"),
    "measuring": (ONCE, LATE + "before(Inspection, 'measurements')"),
    "writing a report": (ONCE, LATE + "before(run_state, 'write_report')"),
    "summary": (ONCE, "@pytest.hookimpl(tryfirst=True)\ndef pytest_terminal_summary(): strike()"),
    "end of the summary": (ONCE, "@pytest.hookimpl(trylast=True)\ndef pytest_terminal_summary(): strike()"),
    "end of the end": (ONCE, "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(): strike()"),
    "unconfigure": (ONCE, "@pytest.hookimpl(tryfirst=True)\ndef pytest_unconfigure(): strike()"),
}
"""Where a signal strikes, as code of a conftest.py."""
MOST_POINTS = 4
"""Of the points that are reached once, and of those in each check, a usual run tries so many."""


def usual_points() -> list[str]:
    """The points of a usual run; all of them in the full lane: each is a whole run in a process of its own."""
    return sample(POINTS, key=str, group=lambda point: str(POINTS[point][0] is ONCE), most=MOST_POINTS)


def run(runs: Runs, folder: Path, *arguments: str, limit: int = 0) -> tuple[int, str]:
    """A whole run, told line by line."""
    begun = runs.begin(folder, ["-v", "--impl-seed=0", *arguments], limit)
    return runs.wait(begun.number), begun.output.read_text(encoding="utf-8", errors="replace")


def told(line: str) -> bool:
    """Whether a line of ``-v`` tells the outcome of a check."""
    return "::" in line and any(f" {word}" in line for word in ("PASSED", "FAILED", "TO DO", "NOT APPLICABLE"))


def checks_of(record: RunRecord) -> list[tuple[str, str]]:
    return [(v.component, v.claim) for v in record.verdicts]


def strike_at(folder: Path, how: signal.Signals, strikes: list[None], code: str) -> None:
    (folder / "conftest.py").write_text(STRIKER.format(strikes=strikes, how=how.name) + code + "\n")


def assert_stopped(folder: Path, code: int, output: str, how: signal.Signals) -> RunRecord:
    """The run says that it was stopped: to pytest's caller, in its record, in its reports and on the terminal."""
    record = json_file.read(folder / "run.json")
    assert code == pytest.ExitCode.INTERRUPTED and "INTERNALERROR" not in output and "Traceback" not in output, output
    assert not record.finished and f"stopped by {how.name}" in [
        n.text for n in record.notes if n.code is NoteCode.INTERRUPTED
    ]
    assert len(set(checks_of(record))) == len(record.verdicts) and not any(v.failing for v in record.verdicts)
    assert "The run was interrupted." in (folder / "plumbline.html").read_text(encoding="utf-8")
    assert "record: run.json" in output
    assert [p.name for p in folder.glob(".run.json.*")] == []
    return record


@pytest.mark.parametrize(
    ("point", "how"),
    [(p, signal.SIGTERM) for p in usual_points()] + [(p, signal.SIGINT) for p in ("judging", "making a report")],
)
def test_a_signal_at_any_stage_stops_the_run_in_good_order(
    runs: Runs, tmp_path: Path, point: str, how: signal.Signals
) -> None:
    """Exit code 2, a whole record that is not finished and says why, and its reports, wherever the signal strikes."""
    strike_at(tmp_path, how, *POINTS[point])
    code, output = run(runs, tmp_path, *QUICK)
    record = assert_stopped(tmp_path, code, output, how)
    assert len(record.verdicts) == sum(map(told, output.splitlines()))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_while_a_failure_is_shown_keeps_the_failure(runs: Runs, tmp_path: Path, how: signal.Signals) -> None:
    """pytest is making the text of a failing check: its verdict is in the record, and the run stops after it."""
    (tmp_path / "mine.py").write_text("def gelu(x):\n    raise ValueError('not like that')\n")
    strike_at(tmp_path, signal.SIGTERM, ONCE, LATE + "before(items.Check, 'repr_failure')")
    code, output = run(runs, tmp_path, "--impl=mine", "--impl-cases=1", "gelu")
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert code == pytest.ExitCode.INTERRUPTED and "INTERNALERROR" not in output, output
    assert not record.finished and [v.failing for v in record.verdicts][-1:] == [True]
    assert sum(v.failing for v in record.verdicts) == 1 and "not like that" in output


def test_signals_that_come_twice_stop_the_run_once(runs: Runs, tmp_path: Path) -> None:
    """`timeout` sends SIGTERM to the process and to its group: the second arrives while pytest handles the first."""
    second = (
        "\n@pytest.hookimpl(tryfirst=True)\ndef pytest_keyboard_interrupt():\n    os.kill(os.getpid(), signal.SIGTERM)"
    )
    strike_at(tmp_path, signal.SIGTERM, THIRD, POINTS["judging"][1] + second)
    code, output = run(runs, tmp_path, *QUICK)
    assert len(assert_stopped(tmp_path, code, output, signal.SIGTERM).verdicts) == 2


@pytest.mark.parametrize(
    "code",
    [
        "@pytest.hookimpl(trylast=True)\ndef pytest_runtest_logreport():\n"
        "    if 'PYTEST_XDIST_WORKER' not in os.environ:\n        strike()",
        LATE
        + "if 'PYTEST_XDIST_WORKER' in os.environ:\n"
        + "        inner = Inspection.judge\n"
        + "        def judge(*arguments):\n"
        + "            strikes.append(None)\n"
        + "            len(strikes) == 3 and os.kill(os.getppid(), signal.SIGTERM)\n"
        + "            return inner(*arguments)\n"
        + "        Inspection.judge = judge",
    ],
    ids=["a report arrives", "workers judge"],
)
def test_a_signal_under_xdist_stops_the_run_in_good_order(runs: Runs, tmp_path: Path, code: str) -> None:
    """The controller is stopped, whether it waits for its workers or takes a report of theirs."""
    pytest.importorskip("xdist")
    strike_at(tmp_path, signal.SIGTERM, THIRD, code)
    ended, output = run(runs, tmp_path, *QUICK, "softmax", "-n", "2")
    record = assert_stopped(tmp_path, ended, output, signal.SIGTERM)
    assert len(record.verdicts) < sum(record.planned.values())


def test_a_run_that_is_killed_leaves_a_whole_record(runs: Runs, tmp_path: Path) -> None:
    """SIGKILL: what was shown on the terminal is in the file."""
    strike_at(tmp_path, signal.SIGKILL, THIRD, POINTS["start of a check"][1])
    code, output = run(runs, tmp_path, *QUICK)
    record = json_file.read(tmp_path / "run.json")
    assert code == -signal.SIGKILL and not record.finished
    assert len(record.verdicts) == 2 == sum(map(told, output.splitlines()))


def test_a_run_that_is_killed_while_it_writes_leaves_a_whole_record(runs: Runs, tmp_path: Path) -> None:
    """SIGKILL between the writing beside the record and its renaming: the record is as it was before."""
    strike_at(tmp_path, signal.SIGKILL, THIRD, POINTS["writing the record"][1])
    assert run(runs, tmp_path, *QUICK)[0] == -signal.SIGKILL
    assert not json_file.read(tmp_path / "run.json").finished and len(list(tmp_path.glob(".run.json.*"))) == 1


GELU = "import torch\ndef gelu(x):\n    return torch.nn.functional.gelu(x, approximate='tanh')\n"
CRASHES = "def gelu(x):\n    raise ValueError('not like that')\n"
SKIPS = (
    "import pytest\ndef pytest_runtest_setup(item):\n    'deterministic' in item.name and pytest.skip('not today')\n"
)
EXITS = SKIPS.replace("pytest.skip('not today')", "pytest.exit('enough', returncode=0)")
FAILS = "def pytest_runtest_logreport():\n    raise RuntimeError('a plug-in of theirs')\n"


@pytest.mark.parametrize(
    ("code", "conftest", "arguments", "exit_code", "finished"),
    [
        pytest.param(GELU, "", "gelu", 0, True, id="all"),
        pytest.param(GELU, "", "-k deterministic gelu", 0, True, id="-k"),
        pytest.param(GELU, "", "gelu --deselect gelu::deterministic", 0, True, id="--deselect"),
        pytest.param(GELU, "", "gelu --impl-shard=99/99", 5, True, id="empty shard"),
        pytest.param(CRASHES, "", "gelu --impl-effort=quick", 1, True, id="failures"),
        pytest.param(CRASHES, "", "gelu -x", 1, False, id="-x"),
        pytest.param(CRASHES, "", "gelu --maxfail=2", 1, False, id="--maxfail"),
        pytest.param(CRASHES, "", "gelu::agrees_with_the_reference -x", 1, True, id="-x at the last"),
        pytest.param(CRASHES, "", "gelu --stepwise", 2, False, id="--stepwise"),
        pytest.param(GELU, SKIPS, "gelu", 2, False, id="skipped by a plug-in"),
        pytest.param(GELU, EXITS, "gelu", 2, False, id="pytest.exit"),
        pytest.param(GELU, FAILS, "gelu", 3, False, id="internal error"),
    ],
)
def test_finished_is_all_that_was_selected(
    runs: Runs, tmp_path: Path, code: str, conftest: str, arguments: str, exit_code: int, finished: bool
) -> None:
    """Every selected check has a verdict; where one has none, the run is not finished and its exit code says so."""
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "conftest.py").write_text(conftest)
    ended, output = run(runs, tmp_path, "--impl=mine", "--impl-cases=1", *arguments.split())
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert (ended, record.finished) == (exit_code, finished), output
    assert finished == (len(record.verdicts) == sum(record.planned.values()))


def test_the_last_failures_alone_can_finish(runs: Runs, tmp_path: Path) -> None:
    """--lf selects; what it selects is judged."""
    (tmp_path / "mine.py").write_text(CRASHES)
    assert run(runs, tmp_path, "--impl=mine", "--impl-cases=1", "gelu", "--maxfail=2")[0] == 1
    ended, output = run(runs, tmp_path, "--impl=mine", "--impl-cases=1", "gelu", "--lf")
    record = json_file.read(tmp_path / ".plumbline" / "run.json")
    assert ended == 1 and record.finished and record.planned == {"gelu": 2}, output


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
