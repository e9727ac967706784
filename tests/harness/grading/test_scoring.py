"""Points, and what a student and a class are told, from verdicts that are written here."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

from support_records import NASTY

from harness.core.change import ProvenChange
from harness.core.record import MistakeSummary, Status, Verdict
from harness.grading import feedback, tables
from harness.grading.checks import ROOT, Checks
from harness.grading.judging import NOT_JUDGED, Judged
from harness.grading.rubric import HINTS, Part, Rubric
from harness.grading.scoring import Grade, as_dict, grade

CLAIMS = {"agrees": "its numbers agree", "grows": "it grows", "ends": "it ends"}
CHECKS = Checks(
    {"part": CLAIMS, "whole": CLAIMS},
    {"part": ("other", "third")},
    {"whole": ("part",)},
    {},
    {},
)
SEED = 123_456_789
SLIP = MistakeSummary("part.slip", "part", "You slipped.", "-    wrong line\n+    right line", ("a/b#1",))


def judged(*statuses: str, **values: Any) -> Judged:
    """The claims of ``part`` in order, with these statuses ("" for none); ``whole`` holds."""
    found = [
        Verdict(
            "part",
            claim,
            sentence,
            status,
            cases=4,
            failed_cases=2,
            where="me.py",
            line=7,
            case_id="abcd",
            worst=f"out[0] = {SEED}",
            smallest="x = 1",
            finding=("part.slip",) if status == Status.FAILED else (),
            message=values.pop("message", ""),
        )
        for (claim, sentence), status in zip(CLAIMS.items(), statuses, strict=True)
        if status
    ]
    whole = [Verdict("whole", claim, sentence, Status.PASSED, cases=4) for claim, sentence in CLAIMS.items()]
    return Judged("me", "key", verdicts=(*found, *whole), summaries={"part.slip": SLIP}, **values)


def scored(found: Judged, hints: str = "finding", **changes: Any) -> Grade:
    part = replace(Part("part", 9.0), **changes)
    return grade(found, Rubric((part, Part("whole", 1.0)), hints=hints, title="Sheet 1"), CHECKS, SEED)


def points(found: Judged, **changes: Any) -> float:
    return scored(found, **changes).parts[0].score


def test_shares_of_what_was_judged() -> None:
    """What holds, of what says something about the code: to do and not judged count nothing, not offered does not
    count."""
    assert points(judged(Status.PASSED, Status.PASSED, Status.PASSED)) == 9.0
    assert points(judged(Status.PASSED, Status.FAILED, Status.CRASHED)) == 3.0
    assert points(judged(Status.PASSED, Status.TIMED_OUT, Status.TO_DO)) == 3.0
    assert points(judged(Status.PASSED, Status.NOT_APPLICABLE, Status.FAILED)) == 4.5
    assert points(judged(Status.PASSED, "", "")) == 3.0
    assert points(judged(Status.NOT_APPLICABLE, Status.NOT_APPLICABLE, Status.NOT_APPLICABLE)) == 0.0
    assert scored(judged(Status.PASSED, Status.FAILED, Status.PASSED)).total == 7.0


def test_weights_required_and_all_or_nothing() -> None:
    """A claim that weighs nothing is left out, unless it is required."""
    assert points(judged(Status.PASSED, Status.FAILED, Status.PASSED), weights={"agrees": 7.0}) == 8.0
    assert points(judged(Status.PASSED, Status.FAILED, Status.PASSED), weights={"grows": 0.0}) == 9.0
    assert points(judged(Status.PASSED, Status.FAILED, Status.PASSED), required=("agrees",)) == 6.0
    one = scored(judged(Status.PASSED, Status.FAILED, Status.PASSED), required=("grows",)).parts[0]
    assert (one.score, one.why) == (0.0, "required and failed: grows")
    assert points(judged(Status.PASSED, Status.NOT_APPLICABLE, Status.PASSED), required=("grows",)) == 0.0, (
        "not applicable is not passed"
    )
    assert points(judged(Status.PASSED, Status.FAILED, Status.PASSED), all_or_nothing=True) == 0.0
    assert points(judged(Status.PASSED, Status.NOT_APPLICABLE, Status.PASSED), all_or_nothing=True) == 9.0


def test_nothing_is_excused_and_the_reference_is_nobodys() -> None:
    """A failure that a submission expects is one; code that lies in the reference earns nothing."""
    excused = judged(Status.PASSED, Status.FAILED, Status.PASSED)
    excused = replace(excused, verdicts=tuple(replace(v, excused="expected: please") for v in excused.verdicts))
    assert points(excused) == 6.0
    there = judged(Status.PASSED, Status.PASSED, Status.PASSED)
    lent = replace(
        there, verdicts=tuple(replace(v, where=str(ROOT / "reference_model" / "part.py")) for v in there.verdicts)
    )
    one = scored(lent).parts[0]
    assert (one.score, one.state, one.why) == (0.0, "not judged", "it is the reference itself")


def test_variants_that_a_submission_declares() -> None:
    """All legal ones unless the rubric says which."""
    declared = judged(Status.PASSED, Status.PASSED, Status.PASSED, variants={"part": "other"})
    assert (
        points(declared)
        == points(declared, variants=("other",))
        == points(declared, variants=(), variant="other")
        == 9.0
    )
    one = scored(declared, variants=("third",)).parts[0]
    assert (one.score, one.why) == (0.0, "it declares the variant other, which the rubric does not allow")


def test_states() -> None:
    """Wrong before to do before judged in part before holds."""
    states = {
        (Status.PASSED, Status.NOT_APPLICABLE, Status.PASSED): Status.PASSED,
        (Status.PASSED, Status.FAILED, Status.TO_DO): Status.FAILED,
        (Status.PASSED, Status.TO_DO, Status.PASSED): Status.TO_DO,
        (Status.PASSED, Status.PASSED, ""): "judged in part",
        ("", "", ""): "not judged",
    }
    for statuses, state in states.items():
        assert scored(judged(*statuses)).parts[0].state == state


def test_hints_tell_as_much_as_they_say() -> None:
    """`claim` neither finding nor line, `finding` no line, `line` both; never the seed, a kept case or a command."""
    texts = {
        hints: feedback.markdown(scored(judged(Status.FAILED, Status.PASSED, Status.PASSED), hints))
        for hints in ("claim", "finding", "line")
    }
    assert all("failed: agrees (expected: its numbers agree)" in text for text in texts.values())
    assert ["You slipped." in text for text in texts.values()] == [False, True, True]
    assert ["wrong line" in text and "me.py:7" in text for text in texts.values()] == [False, False, True]
    for hints, text in texts.items():
        assert str(SEED) not in text and "replay" not in text and "pytest --impl" not in text
        services = feedback.gradescope(scored(judged(Status.FAILED, Status.PASSED, Status.PASSED), hints))
        assert str(SEED) not in services and ("wrong line" in services) == (hints == "line")
    assert "(seed)" in texts["line"], "their own code may have printed it"


def test_a_change_is_shown_only_where_the_course_asks() -> None:
    """``change`` shows the proven change, ``line`` does not, although it may be known."""
    found = judged(Status.FAILED, Status.PASSED, Status.PASSED)
    change = ProvenChange("--- a/me.py\n+++ b/me.py\n@@ -7 +7 @@\n-wrong\n+repaired\n", 3, 3)
    found = replace(found, verdicts=(replace(found.verdicts[0], change=change), *found.verdicts[1:]))
    shown = {hints: feedback.markdown(scored(found, hints)) for hints in HINTS}
    assert ["repaired" in shown[hints] for hints in HINTS] == [False, False, False, True]
    assert ["repaired" in feedback.gradescope(scored(found, hints)) for hints in HINTS] == [False, False, False, True]
    assert "plumbline fix" not in shown["change"], "students may not have it"


def test_gradescope_has_a_test_per_component() -> None:
    """Points, status, number and visibility of each; the sum is the score."""
    one = scored(judged(Status.FAILED, Status.PASSED, Status.PASSED), visibility="after_due_date")
    body = json.loads(feedback.gradescope(one))
    assert body["score"] == one.total == 7.0 and body["stdout_visibility"] == "hidden" and "execution_time" not in body
    assert [
        (t["number"], t["name"], t["score"], t["max_score"], t["status"], t["visibility"]) for t in body["tests"]
    ] == [
        ("1", "part", 6.0, 9.0, "failed", "after_due_date"),
        ("2", "whole", 1.0, 1.0, "passed", "visible"),
    ]


def test_what_kept_it_from_being_judged_is_told() -> None:
    """To the student, in the table, and on the page; nothing in somebody's words breaks any of them."""
    failed = Judged('=me"<b>', "key", state=NOT_JUDGED, why=NASTY)
    one = grade(failed, Rubric((Part("part", 9.0), Part("whole", 1.0))), CHECKS, SEED)
    assert one.total == 0 and json.loads(feedback.gradescope(one))["output"].endswith(NASTY)
    rows = list(csv.DictReader(io.StringIO(tables.as_csv([one], one.rubric))))
    assert (
        rows[0]["submission"].startswith("'=") and rows[0]["state"] == "not judged" and "script" in rows[0]["remarks"]
    )
    page = tables.as_page([one], one.rubric)
    assert "<script>" not in page and "<b>" not in page and "not judged" in page


def test_the_class_counts_without_names() -> None:
    """Distribution, hardest components and claims, common mistakes; names stand in the table and among the troubled
    only."""
    grades = [
        scored(replace(judged(Status.PASSED, Status.PASSED, Status.PASSED), name="right")),
        scored(replace(judged(Status.FAILED, Status.PASSED, Status.PASSED), name="zoe")),
        scored(replace(judged(Status.FAILED, "", ""), name="died", why="it died")),
    ]
    found = tables.summary(grades, grades[0].rubric)
    assert [bin["count"] for bin in found["bins"]] == [0, 1, 0, 0, 0, 0, 0, 1, 0, 1]
    assert [(row["name"], row["share"]) for row in found["components"]] == [("part", 56), ("whole", 100)]
    assert found["claims"] == [
        {"component": "part", "claim": "agrees", "sentence": "its numbers agree", "held": 1, "judged": 3, "share": 33}
    ]
    assert [(row["name"], row["count"]) for row in found["mistakes"]] == [("part.slip", 2)]
    assert [row["name"] for row in found["trouble"]] == ["died"]
    page = tables.as_page(grades, grades[0].rubric)
    assert "zoe" not in page.partition('id="grades"')[0] and "zoe" in page.partition('id="grades"')[2]
    assert "http" not in page, "it needs no network"
    assert json.loads(tables.as_json(grades, grades[0].rubric))["grades"][1] == as_dict(grades[1])
