"""Findings while a run goes on: each is told once, as soon as it is there."""

from dataclasses import replace

from harness.core.marked_line import Mark, MarkedLine
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports.found import Found

SLIP = MistakeSummary("norm.slip", "norm", "The mean is\nforgotten.", "")


def record(*verdicts: Verdict) -> RunRecord:
    return RunRecord(
        impl="mine",
        seed=0,
        planned={},
        order=("norm", "block"),
        parts={"block": ("norm",)},
        meanings={},
        verdicts=list(verdicts),
        summaries={SLIP.name: SLIP},
    )


def failed(component: str, claim: str, finding: str = "", message: str = "", **more: str) -> Verdict:
    found = (finding,) if finding else ()
    return Verdict(
        component, claim, "it is right", Status.FAILED, message=message, finding=found, where="a.py", line=3, **more
    )


def test_a_finding_is_told_once_with_its_place_in_one_line() -> None:
    found, first = Found(), failed("norm", "agrees", SLIP.name)
    assert found.new(record()) == []
    assert found.new(record(first)) == ["found: norm (a.py:3): The mean is forgotten."]
    assert found.new(record(first, failed("norm", "gradients_agree", SLIP.name))) == []
    assert found.new(record(first, failed("block", "agrees", SLIP.name))) == []


def test_the_marked_line_is_told_where_there_is_one() -> None:
    """Not where the component begins: that is only where to look when no line is known."""
    first = replace(
        failed("norm", "agrees", SLIP.name),
        lines=(MarkedLine("a.py", 7, 7, 4, 9, "    x = y", mark=Mark.WRONG, mistake=SLIP.name),),
    )
    assert Found().new(record(first)) == ["found: norm (a.py:7): The mean is forgotten."]


def test_what_nothing_explains_is_told_too() -> None:
    found, first = Found(), failed("norm", "agrees", SLIP.name)
    found.new(record(first))
    (line,) = found.new(record(first, failed("block", "agrees", message="off")))
    assert line == 'found: block (a.py:3): fails the check "it is right": off'


def test_what_is_excused_is_no_finding() -> None:
    assert Found().new(record(failed("norm", "agrees", SLIP.name, excused="known"))) == []
