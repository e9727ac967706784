"""What a process wrote is read as far as it came, and as somebody may have written it who means no good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support_records import record

from harness.core.change import ProvenChange
from harness.core.note import Note, NoteCode
from harness.core.record import Status, Verdict
from harness.grading import journal
from harness.grading.checks import Checks
from harness.grading.log import Log

CHECKS = Checks(
    {"part": {"agrees": "its numbers agree", "grows": "it grows"}, "whole": {"agrees": "its numbers agree"}},
    {},
    {},
    {},
    {},
)
PLANNED = ["part::agrees", "part::grows", "whole::agrees"]


def verdict(component: str, claim: str, **changes: Any) -> dict[str, Any]:
    return Verdict(component, claim, CHECKS.claims[component][claim], Status.PASSED, cases=3).as_dict() | changes


NOTE = Note("part", NoteCode.NOT_CHECKED, "n")


def written(path: Path, *entries: Any, end: str = "") -> journal.Kept:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + end)
    return journal.read(path)


def test_a_process_that_died_in_a_check(tmp_path: Path) -> None:
    """What was judged counts; the check in flight did it; its component is not tried again, the others are."""
    kept = written(
        tmp_path / "j",
        {"planned": PLANNED, "notes": [NOTE.as_dict()], "variants": {}},
        {"start": "part::agrees"},
        {"verdict": verdict("part", "agrees"), "summaries": {}},
        {"start": "part::grows"},
        end='{"verdict": {"comp',
    )
    assert kept.notes == [NOTE] and kept.begun and kept.open and kept.last == "part::grows" and kept.end is None
    log = Log(CHECKS, ("part", "whole"))
    log.take(kept)
    log.blame(kept, "it was killed by signal 11")
    assert log.suspicious == [] and log.missing() == ["whole::agrees"]
    assert log.verdicts["part::agrees"].status == Status.PASSED and log.verdicts["part::grows"].status == Status.CRASHED
    assert log.whys() == ["part::grows: it was killed by signal 11"]
    log.rest("no time")
    assert log.unreached() == {"whole::agrees": "no time"}


def test_one_that_died_between_checks(tmp_path: Path) -> None:
    """A thread of theirs ended it: the component that was judged last did it, as far as anybody knows."""
    kept = written(
        tmp_path / "j", {"planned": PLANNED}, {"start": "part::agrees"}, {"verdict": verdict("part", "agrees")}
    )
    log = Log(CHECKS, ("part", "whole"))
    log.take(kept)
    log.blame(kept, "it was killed by signal 9")
    assert list(log.verdicts) == ["part::agrees"] and log.missing() == ["whole::agrees"]
    assert "part::grows" in log.unreached()


def test_nothing_and_nonsense(tmp_path: Path) -> None:
    """No file, no JSON, other JSON, entries of other kinds: nothing is believed, nothing breaks."""
    assert journal.read(tmp_path / "absent") == journal.Kept()
    kept = written(
        tmp_path / "j",
        3,
        [],
        None,
        {"planned": 7},
        {"end": "x"},
        {"end": [1]},
        {"verdict": 5},
        {"start": None},
        {"left_out": {}},
        {"verdict": verdict("part", "agrees"), "summaries": 3},
        {"planned": PLANNED, "variants": 3},
        end="\x00\xff\n",
    )
    log = Log(CHECKS, ("part", "whole"))
    log.take(kept)
    assert set(log.unreached()) >= {"part::grows", "whole::agrees"}


@pytest.mark.parametrize(
    "changes",
    [
        {"cases": 0},
        {"status": "fine"},
        {"sentence": "it is beautiful"},
        {"claim": "smiles"},
        {"component": 3},
        {"more": 1},
        {"finding": 5},
        {"finding": [1]},
        {"message": None},
        {"error": "0"},
        {"line": "7"},
        {"error_map": [["x"]]},
        {"frames": [[]]},
        {"notes": ["a text alone"]},
        {"notes": 3},
        {"notes": [{"component": "part", "code": "no such code", "text": "n"}]},
        {"notes": [{"component": "part", "code": "precision", "text": 3}]},
    ],
)
def test_verdicts_that_the_machine_does_not_write(changes: dict[str, Any], tmp_path: Path) -> None:
    """They do not count, and a person is told."""
    log = Log(CHECKS, ("part", "whole"))
    log.take(
        written(tmp_path / "j", {"planned": PLANNED}, {"verdict": verdict("part", "agrees") | changes, "summaries": {}})
    )
    assert log.verdicts == {} and log.suspicious == ["it wrote verdicts that Plumbline did not make"]


def test_other_checks_than_there_are_and_two_verdicts_of_one(tmp_path: Path) -> None:
    """The first counts; both are told."""
    log = Log(CHECKS, ("part", "whole"))
    broken = verdict("part", "agrees", status=Status.FAILED)
    log.take(
        written(tmp_path / "j", {"planned": PLANNED[:1]}, {"verdict": broken}, {"verdict": verdict("part", "agrees")})
    )
    assert log.verdicts["part::agrees"].status == Status.FAILED and len(log.suspicious) == 2


def test_a_card_that_is_none_is_left_out(tmp_path: Path) -> None:
    """Reports read summaries: all of their fields are texts."""
    good = {"name": "part.slip", "component": "part", "sentence": "s", "diff": "d", "seen_in": ["a"]}
    summaries = {
        "part.slip": good,
        "part.a": {**good, "diff": 3},
        "part.b": {"name": "x"},
        "part.c": {**good, "seen_in": 3},
        "part.d": 5,
    }
    log = Log(CHECKS, ("part", "whole"))
    log.take(
        written(tmp_path / "j", {"planned": PLANNED}, {"verdict": verdict("part", "agrees"), "summaries": summaries})
    )
    assert list(log.summaries) == ["part.slip"]


def test_long_texts_are_cut_when_they_are_written(tmp_path: Path) -> None:
    """An error's message may be of any length; the journal's file may not."""
    autosave = journal.Journal(str(tmp_path / "j"))
    autosave.write(verdict=verdict("part", "agrees", message="x" * 10**6, frames=["y" * 10**6]), summaries={})
    assert (tmp_path / "j").stat().st_size < 100_000
    assert journal.read(tmp_path / "j").verdicts[0]["message"].endswith("(cut here)")


@pytest.mark.parametrize(("timed_out", "status"), [(False, Status.CRASHED), (True, Status.TIMED_OUT)])
def test_a_limit_of_time_is_a_time_out(timed_out: bool, status: Status, tmp_path: Path) -> None:
    """It is told by the limit, not by how its text is worded."""
    kept = written(tmp_path / "j", {"planned": PLANNED}, {"start": "part::agrees"})
    log = Log(CHECKS, ("part", "whole"))
    log.take(kept)
    log.blame(kept, "in other words", timed_out=timed_out)
    assert log.verdicts["part::agrees"].status == status


def test_changes_are_taken_over_and_an_end_while_they_are_sought_costs_nothing(tmp_path: Path) -> None:
    """They stand at the end of a journal; before that, it says that all was judged."""
    failed = {**verdict("part", "agrees"), "status": "failed", "change": {"diff": "made up"}}
    begun = [
        {"planned": PLANNED, "notes": [], "variants": {}},
        {"start": "part::agrees"},
        {"verdict": failed, "summaries": {}},
        {"judged": True},
    ]
    assert written(tmp_path / "j", *begun).is_judged
    change = {"diff": "+right", "checks_held": 3, "checks_run": 3}
    kept = written(tmp_path / "j", *begun, {"end": 1, "changes": {"part": change, "whole": {"diff": 3}}})
    log = Log(CHECKS, ("part", "whole"))
    log.take(kept)
    assert log.verdicts["part::agrees"].change == ProvenChange("+right", 3, 3)


def test_what_a_process_wrote_of_changes_is_read(tmp_path: Path) -> None:
    """Of every component that has one, though its last check passed."""
    one = journal.Journal(str(tmp_path / "j"))
    failed = Verdict("part", "agrees", "", Status.FAILED, change=ProvenChange("+right", 3, 3))
    one.record = record(failed, Verdict("part", "grows", "", Status.PASSED))
    one.write(judged=True)
    end = one.pytest_sessionfinish(1)
    next(end)
    with pytest.raises(StopIteration):
        end.send(None)
    kept = journal.read(tmp_path / "j")
    assert kept.is_judged and kept.end == 1
    assert kept.changes == {"part": {"diff": "+right", "checks_held": 3, "checks_run": 3}}
