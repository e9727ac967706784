"""What a person reads: findings once and in order, tables, the trust line, the next step."""

from harness.core.claim import About
from harness.core.measurement import Measurement
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports import text


def record(*verdicts: Verdict, **changes) -> RunRecord:
    summaries = {
        "part.slip": MistakeSummary("part.slip", "part", "You slipped.", "-    right\n+    wrong", ("a/b#1",)),
        "other.slip": MistakeSummary("other.slip", "other", "You slipped again.", "-    right\n+    left"),
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
        "-    right" in told
        and "You slipped." in told
        and "also explains   whole" in told
        and "also broken     smooth" in told
    )


def test_a_whole_model_alone_shows_every_line() -> None:
    """With no part plugged in, two mistakes in the whole give two findings that name their parts."""
    run = record(wrong("whole", "agrees", "part.slip", "other.slip"))
    told = [text.failure(run, g) for g in text.groups(run)]
    assert len(told) == 2 and "Its part computes:" in told[0] and "Its other computes:" in told[1]


def test_without_a_finding_the_broken_claim_comes_first() -> None:
    """The claim in words, the message, and that a part is wrong too."""
    run = record(
        verdict("part", "agrees", Status.FAILED, failed_cases=1),
        verdict("whole", "agrees", Status.FAILED, message="it leaks", failed_cases=2),
    )
    told = text.failure(run, next(g for g in text.groups(run) if g.head.component == "whole"))
    assert (
        told.startswith("whole: it must hold that it is right")
        and "it leaks" in told
        and "part, wrong too: mend that first" in told
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
    """Held, wrong, to do and not offered are four things."""
    run = record(
        verdict("part", "agrees", error=0.25),
        verdict("part", "grows", Status.NOT_APPLICABLE),
        wrong("other", "gradients_agree", "other.slip"),
        verdict("whole", "agrees", Status.TO_DO),
        planned={"part": 2, "other": 1, "whole": 2},
    )
    lines = text.table(run)
    assert (
        "1 of 1" in lines[1] and "holds" in lines[1] and "WRONG: other.slip" in lines[2] and lines[3].endswith("to do")
    )
    counts, margins = text.trust(run)
    assert counts == "5 checks planned: 2 run, 1 to do, 1 not applicable, 1 not reached"
    assert "0.25 of 1 (part::agrees)" in margins and "seed 3" in margins


def test_many_absent_components_are_told_in_one_line() -> None:
    """What is not there at all needs no row of its own; what is begun keeps its row."""
    names = ("part", "other", "whole", "one", "two", "three")
    begun = verdict("other", "agrees", Status.TO_DO, where="mine.py", message="only `pass`")
    absent = [verdict(name, "agrees", Status.TO_DO) for name in names if name not in ("part", "other")]
    lines = text.table(record(verdict("part", "agrees", error=0.25), begun, *absent, order=names))
    assert lines[2].endswith("to do: only `pass`")
    assert lines[3:] == ["also to do: whole, one, two, three"]
    assert text.table(record(*absent, order=names)) == ["to do: whole, one, two, three"]


def test_facts_are_told_with_their_number_and_how_it_was_obtained() -> None:
    """And nothing is said where nothing was measured."""
    fact = Measurement("holds 96 bytes", "counted after 3 steps", 96.0, "bytes", {"3": 96.0}, "part", "memory")
    assert text.measurements(record(measurements=[fact])) == [
        "facts:",
        "  part: holds 96 bytes (counted after 3 steps)",
        "",
    ]
    assert text.measurements(record()) == []


def test_the_gradients_column_is_about_gradients() -> None:
    """It reads what a check is about, not its name: a component of which no gradient was judged has none that is right."""
    run = record(
        verdict("part", "gradient_in_its_name_alone"),
        verdict("other", "slope", about=(About.GRADIENT, About.NUMBERS)),
        verdict("whole", "slope", Status.FAILED, about=(About.GRADIENT,), failed_cases=1, message="off"),
    )
    lines = text.table(run)[1:]
    assert "not applicable" in lines[0] and "right" in lines[1] and "WRONG" in lines[2].partition("WRONG: ")[0]


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
