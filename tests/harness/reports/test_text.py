"""What a person reads: findings once and in order, tables, the trust line, the next step."""

from dataclasses import replace

import pytest

from harness.core.claim import About
from harness.core.measurement import Measurement
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports import text
from harness.reports.next_step import next_step


def record(*verdicts: Verdict, **changes) -> RunRecord:
    summaries = {
        "part.slip": MistakeSummary("part.slip", "part", "You slipped.", "-    wrong\n+    right", ("a/b#1",)),
        "other.slip": MistakeSummary("other.slip", "other", "You slipped again.", "-    left\n+    right"),
    }
    values = {
        "impl": "mine",
        "seed": 3,
        "planned": {v.component: 2 for v in verdicts},
        "order": ("part", "other", "whole"),
        "parts": {"whole": ("part", "other")},
        "meanings": {"part": "A part.", "other": "Another.", "whole": "All."},
        "verdicts": list(verdicts),
        "summaries": summaries,
    }
    return RunRecord(**{**values, **changes})


def texts(run: RunRecord) -> list[str]:
    """The table as it is printed."""
    return [line.text for line in text.table(run)]


def verdict(component: str, claim: str, status: Status = Status.PASSED, **values) -> Verdict:
    return Verdict(component, claim, "it is right", status, **{"cases": 5, **values})


def wrong(component: str, claim: str, *finding: str) -> Verdict:
    return verdict(
        component, claim, Status.FAILED, failed_cases=5, finding=finding, message="out is wrong", case_id="abcd"
    )


def test_each_finding_is_told_once_with_all_it_explains() -> None:
    """Parts before composites; the composite that only carries them is listed, not told."""
    run = record(
        wrong("whole", "agrees", "part.slip", "other.slip"),
        wrong("other", "agrees", "other.slip"),
        wrong("part", "agrees", "part.slip"),
        wrong("part", "smooth", "part.slip"),
    )
    groups = text.groups(run)
    assert [g.names for g in groups] == [("part.slip",), ("other.slip",)]
    assert groups[0].head.component == "part" and groups[0].also == ("whole",)
    told = text.failure(run, groups[0])
    assert (
        "    -    wrong\n    +    right" in told
        and "(- your code, + expected code):" in told
        and "You slipped." in told
        and "also explains   whole" in told
        and "also failed     smooth" in told
        and "reported in     a/b#1" in told
        and "details         plumbline explain part.slip" in told
        and "reproduce       plumbline replay abcd" in told
        and 'or run          pytest --impl=mine --impl-seed=3 -k "part and agrees"' in told
    )


def test_a_whole_model_alone_shows_every_line() -> None:
    """With no part plugged in, two mistakes in the whole give two findings that name their parts."""
    run = record(wrong("whole", "agrees", "part.slip", "other.slip"))
    told = [text.failure(run, g) for g in text.groups(run)]
    assert len(told) == 2 and "caused by its part (" in told[0] and "caused by its other (" in told[1]


def test_without_a_finding_the_broken_claim_comes_first() -> None:
    """The claim in words, the message, and that a part is wrong too."""
    run = record(
        verdict("part", "agrees", Status.FAILED, failed_cases=1),
        verdict("whole", "agrees", Status.FAILED, message="it leaks", failed_cases=2),
    )
    told = text.failure(run, next(g for g in text.groups(run) if g.head.component == "whole"))
    assert (
        told.startswith('whole fails the check "it is right" in 2 of 5 cases.')
        and "it leaks" in told
        and "fix first       part (a part of it that fails too)" in told
    )


def test_a_crash_in_many_claims_is_one_failure() -> None:
    """The same error in several claims is told once."""
    run = record(
        *(
            verdict(
                "part", f"claim_{i}", Status.CRASHED, message="TypeError: no", frames=("mine.py:3",), failed_cases=5
            )
            for i in range(4)
        )
    )
    (group,) = text.groups(run)
    assert "mine.py:3" in text.failure(run, group) and len(group.rest) == 3


def test_the_table_and_the_trust_line_count_everything() -> None:
    """Passed, failed, to do and not applicable are four things."""
    run = record(
        verdict("part", "agrees", error=0.25),
        verdict("part", "grows", Status.NOT_APPLICABLE),
        wrong("other", "gradients_agree", "other.slip"),
        verdict("whole", "agrees", Status.TO_DO),
        planned={"part": 2, "other": 1, "whole": 2},
    )
    lines = texts(run)
    assert lines[0].split("  ")[0] == "component" and "checks passed  largest error" in lines[0]
    assert "1 of 1" in lines[1] and "25 % of tolerance" in lines[1] and lines[1].endswith("passed")
    assert "FAILED: other.slip" in lines[2] and lines[3].endswith("to do")
    counts, margins = text.coverage(run)
    assert counts == (
        "2 of 3 components implemented: 2 checks run (1 passed, 1 failed, 1 not applicable, 1 not reached)"
    )
    assert "largest error of a passed check: 25 % of the tolerance (part::agrees)" in margins
    assert "no statistical test ran; seed 3" in margins


def test_many_absent_components_are_told_in_one_line() -> None:
    """What is not there at all needs no row of its own; what is begun keeps its row."""
    names = ("part", "other", "whole", "one", "two", "three")
    begun = verdict("other", "agrees", Status.TO_DO, where="mine.py", message="only `pass`")
    absent = [verdict(name, "agrees", Status.TO_DO) for name in names if name not in ("part", "other")]
    lines = texts(record(verdict("part", "agrees", error=0.25), begun, *absent, order=names))
    assert lines[2].endswith("to do: only `pass`")
    assert lines[3:] == ["to do (4): whole, one, two, three"]
    assert texts(record(*absent, order=names)) == ["to do (4): whole, one, two, three"]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_and_failures_fit_the_terminal(width: int) -> None:
    """A long verdict goes on in its own column; the colour of a line is its component's."""
    names = [f"part.a_rather_long_name_of_a_mistake_{i}" for i in range(4)]
    run = record(wrong("part", "agrees", *names), wrong("other", "agrees", "other.slip"))
    lines = text.table(run, width)
    assert len(lines) > 3 and max(len(line.text) for line in lines) <= width
    assert {line.status for line in lines if line.component == "part"} == {Status.FAILED}
    assert all(name in " ".join(line.text for line in lines) for name in names)
    for group in text.groups(run):
        shown = text.failure(run, group, width).splitlines()
        assert max(map(len, shown)) <= width, shown


def test_facts_are_told_with_their_number_and_how_it_was_obtained() -> None:
    """And nothing is said where nothing was measured."""
    fact = Measurement("holds 96 bytes", "counted after 3 steps", 96.0, "bytes", {"3": 96.0}, "part", "memory")
    assert text.measurements(record(measurements=[fact])) == [
        "measurements (informational):",
        "  part: holds 96 bytes (counted after 3 steps)",
        "",
    ]
    assert text.measurements(record()) == []


def test_the_gradients_column_is_about_gradients() -> None:
    """It reads what a check is about, not its name: a component of which no gradient was judged has none that is
    right."""
    run = record(
        verdict("part", "gradient_in_its_name_alone"),
        verdict("other", "slope", about=(About.GRADIENT, About.NUMBERS)),
        verdict("whole", "slope", Status.FAILED, about=(About.GRADIENT,), failed_cases=1, message="off"),
    )
    lines = texts(run)[1:]
    assert lines[0].split()[-2:] == ["-", "passed"] and lines[1].count("passed") == 2
    assert "FAILED" in lines[2].partition("FAILED: ")[0]


def test_checks_that_compare_all_numbers_are_one_failure() -> None:
    """Without an explanation; and so are checks whose message explains, where it is the same. Others stand alone."""
    off = {"failed_cases": 1, "message": "out is off"}
    verdicts = [
        verdict("part", "a", Status.FAILED, about=(About.NUMBERS,), **off),
        verdict("part", "b", Status.FAILED, about=(About.ROUNDING,), **off),
        verdict("part", "c", Status.FAILED, about=(About.CONSISTENCY, About.GRADIENT), **off),
        verdict("part", "d", Status.FAILED, about=(About.STATE,), **off),
        verdict("part", "e", Status.FAILED, about=(About.FORM,), **off),
        verdict("part", "f", Status.FAILED, explains=True, **off),
        verdict("part", "g", Status.FAILED, explains=True, **off),
    ]
    found = [{g.head.claim, *(v.claim for v in g.rest)} for g in text.groups(record(*verdicts))]
    assert found == [{"a", "b", "c"}, {"d"}, {"e"}, {"f", "g"}]


def test_a_name_that_leaves_failed_checks_unexplained_is_told_as_a_resemblance() -> None:
    """In the failure, in the line of summaries, and in what comes next."""
    run = record(
        wrong("part", "agrees", "part.slip"),
        wrong("part", "gradients", "part.slip"),
        verdict("part", "keeps", Status.FAILED, failed_cases=2, message="it remembers"),
    )
    named, bare = text.groups(run)
    told = "It resembles slip in 2 of 3 failed checks"
    assert named.is_hedged and named.share == (2, 3) and not bare.is_hedged
    assert told in text.failure(run, named) and text.headline(run, named).startswith(f"{told}: You slipped.")
    assert "it resembles slip" in " ".join(next_step(run))


def test_a_name_that_explains_every_failed_check_is_no_resemblance() -> None:
    """Two names that explain all together neither; a check that ran out of time says nothing."""
    run = record(
        wrong("part", "agrees", "part.slip"),
        wrong("part", "gradients", "other.slip"),
        verdict("part", "ends", Status.TIMED_OUT, failed_cases=1, message="it did not end"),
    )
    assert not any(group.is_hedged for group in text.groups(run))


def test_a_finding_takes_the_place_of_those_that_it_covers() -> None:
    """One cause is one finding: in the groups, and in the record."""
    run = record(wrong("part", "agrees", "part.slip"), verdict("part", "keeps", Status.FAILED, failed_cases=2))
    run.add(replace(wrong("part", "gradients", "other.slip"), covers=("agrees", "keeps")))
    (group,) = text.groups(run)
    assert group.names == ("other.slip",) and len(group.rest) == 2
    assert [v.finding for v in run.verdicts] == [("other.slip",)] * 3


def test_a_failure_without_a_name_says_what_was_tried() -> None:
    run = record(verdict("part", "agrees", Status.FAILED, failed_cases=1, message="no", searched=(1829, 3100, 47)))
    (group,) = text.groups(run)
    told = " ".join(text.failure(run, group).split())
    assert "none of 1,829 known mistakes, 3,100 sets of them and 47 relations explains it" in told
