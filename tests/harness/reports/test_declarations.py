"""One declaration for all legal forms of a run: what two failures share is said once, what contradicts is parted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support_records import record

from harness.core.claim import About
from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports.failure import declarations, failure, headline
from harness.reports.groups import groups
from harness.reports.next_step import next_step

COMPONENTS = ("left", "right", "whole")


def form(component: str, name: str, declare: str) -> MistakeSummary:
    return MistakeSummary(f"{component}.{name}", component, f"It is {name}.", "-    a\n+    b", (), declare)


def failed(component: str, claim: str, *finding: str) -> Verdict:
    return Verdict(
        component, claim, "it is right", Status.FAILED, cases=2, failed_cases=2, finding=finding, about=(About.NUMBERS,)
    )


def run(verdicts: list[Verdict], *summaries: MistakeSummary) -> RunRecord:
    return replace(
        record(),
        order=COMPONENTS,
        parts={"whole": ("left", "right")},
        verdicts=verdicts,
        summaries={one.name: one for one in summaries},
        planned=dict.fromkeys(COMPONENTS, 1),
        missing=(),
    )


def test_forms_that_were_found_together_are_one_failure_with_one_declaration() -> None:
    """With the sentence of each, and a line for either place."""
    turned, cap = form("left", "turned", "positions=turned"), form("left", "cap=5", "cap=5")
    kept = run(
        [failed("left", "agrees", turned.name, cap.name), failed("left", "exact", turned.name, cap.name)], turned, cap
    )
    (group,) = groups(kept)
    text = " ".join(failure(kept, group).split())
    assert "It is turned." in text and "It is cap=5." in text
    assert 'declare it: positions = "turned"; cap = 5 under [tool.plumbline]' in text
    assert "--impl-variant=positions=turned,cap=5" in text and "--impl-variant=positions=turned,cap=5" in headline(
        kept, group
    )
    step = " ".join(next_step(kept))
    assert step.startswith(
        "next: declare legal forms of left or change the code: --impl-variant=positions=turned,cap=5"
    )
    assert "fix" not in step


def test_a_mistake_is_fixed_first_and_the_forms_are_declared_then() -> None:
    """Both are said."""
    slip = MistakeSummary("right.slip", "right", "You slipped.", "-    a\n+    b")
    turned = form("left", "turned", "positions=turned")
    kept = run([failed("left", "agrees", turned.name), failed("right", "agrees", "right.slip")], turned, slip)
    step = " ".join(next_step(kept, 400))
    assert step.startswith("next: fix right first") and "Then declare a legal form of left" in step


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ((("left", "activation=relu"), ("right", "activation=relu")), ["activation=relu"]),
        (
            (("left", "activation=relu"), ("right", "activation=silu")),
            ["left.activation=relu", "right.activation=silu"],
        ),
        ((("left", "left=a"), ("right", "right=b")), ["left=a", "right=b"]),
        ((("right", "cap=5"), ("left", "positions=turned")), ["positions=turned", "cap=5"]),
    ],
)
def test_pairs_of_several_components(forms: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    """In the order of the components."""
    summaries = [form(component, pair, pair) for component, pair in forms]
    kept = run([failed(one.component, "agrees", one.name) for one in summaries], *summaries)
    assert declarations(kept, groups(kept)) == expected


def test_of_two_forms_of_one_axis_the_one_that_explains_more_is_declared() -> None:
    """Two claims may each be explained by another form where both look alike."""
    one, other = form("left", "one", "shape=one"), form("left", "other", "shape=other")
    kept = run(
        [failed("left", "a", "left.one"), failed("left", "b", "left.other"), failed("left", "c", "left.other")],
        one,
        other,
    )
    assert declarations(kept, groups(kept)) == ["shape=other"]


def test_a_mistake_that_looks_like_a_form_says_how_to_declare_that() -> None:
    """The mistake is likelier, and the form is legal."""
    slip, cap = MistakeSummary("left.slip", "left", "You slipped.", "-    a\n+    b"), form("left", "cap=1", "cap=1")
    kept = run([replace(failed("left", "agrees", "left.slip"), or_else=("left.cap=1",))], slip, cap)
    (group,) = groups(kept)
    assert "--impl-variant=cap=1" in failure(kept, group) and "fix left" in " ".join(next_step(kept))
