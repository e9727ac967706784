"""What to do next: what is wrong first, then what is begun, then what stands on what is done."""

import pytest

from harness.core.record import MistakeSummary, RunRecord, Status, Verdict
from harness.reports.next_step import next_step

PARTS = {"mlp": ("gelu",), "block": ("norm", "mlp"), "model": ("block", "norm", "table")}
ORDER = ("words", "gelu", "table", "norm", "mlp", "block", "model")


def record(*, message: str = "", **states: Status | str) -> RunRecord:
    """A run in which these components have these states, or these known mistakes, and all others are not there."""
    verdicts = [
        Verdict(
            name,
            "agrees",
            "it is right",
            state if isinstance(state, Status) else Status.FAILED,
            cases=5,
            where="mine.py",
            line=3,
            message=message,
            finding=() if isinstance(state, Status) else tuple(state.split()),
        )
        for name, state in states.items()
    ]
    return RunRecord(
        impl="mine",
        seed=0,
        planned=dict.fromkeys(ORDER, 1),
        order=ORDER,
        parts=PARTS,
        meanings={"norm": "Each position is normalised."},
        verdicts=verdicts,
        summaries={
            "norm.slip": MistakeSummary("norm.slip", "norm", "You slipped.", ""),
            "mlp.slip": MistakeSummary("mlp.slip", "mlp", "Again.", ""),
        },
        missing=tuple(name for name in ORDER if name not in states),
        signatures={"norm": "def norm(x, eps)"},
    )


def told(**states: Status | str) -> str:
    return " ".join(" ".join(next_step(record(**states))).split())


def test_what_is_begun_is_continued() -> None:
    """With the feed-forward half done the block needs its norm, which needs nothing: not the first of the course."""
    text = told(mlp=Status.PASSED, gelu=Status.PASSED)
    assert text.startswith("next: implement norm: mlp is done, and block needs it too. Write `def norm(x, eps)`.")


def test_a_composite_waits_for_its_parts() -> None:
    """The block is proposed only when what it is made of stands; before that, the part of the part."""
    assert told(norm=Status.PASSED).startswith(
        "next: implement gelu: norm is done, and block (in its mlp) needs it too."
    )
    assert "next: implement block: model needs it; its parts norm and mlp are done." in told(
        norm=Status.PASSED, mlp=Status.PASSED, gelu=Status.PASSED
    )


def test_the_beginning_and_the_end() -> None:
    """Nothing there: the first of the course. A stub: that one, and why it is not judged. All there: nothing."""
    assert told().startswith("next: implement words: it comes first.")
    stub = " ".join(next_step(record(gelu=Status.TO_DO, message="only `pass`")))
    assert "next: implement gelu" in stub and "So far: only `pass`." in stub
    assert "next: nothing. All 7 components passed" in told(**dict.fromkeys(ORDER, Status.PASSED))


def test_what_is_wrong_comes_first_and_the_deepest_that_explains_most_before_all() -> None:
    """Two mistakes: the one that two composites carry is named, with where it is; the other follows."""
    text = told(
        gelu=Status.PASSED,
        mlp="mlp.slip",
        norm="norm.slip",
        block="norm.slip mlp.slip",
        model="norm.slip",
    )
    assert text == (
        "next: fix norm first (mine.py:3, slip): it also explains the failures of block and model. Then fix mlp."
    )


def test_a_mistake_found_in_a_whole_names_the_part() -> None:
    """Only the model is there: the part that is wrong is named, and where it is seen."""
    assert told(model="norm.slip").startswith("next: fix norm in model first (mine.py:3, slip)")


def test_an_unexplained_composite_waits_for_its_parts() -> None:
    """A crash in a part is fixed before the composite that stands on it."""
    assert told(block=Status.CRASHED, norm=Status.CRASHED).startswith(
        "next: fix norm first (mine.py:3): block depends on it."
    )


def test_a_part_that_was_not_judged_is_not_said_to_hold() -> None:
    """It may be to do, or no module of its own; what was judged and holds is named."""
    for state in (Status.NOT_APPLICABLE, Status.TO_DO):
        text = told(mlp=Status.FAILED, gelu=state)
        assert "gelu" not in text and "none of its parts failed" in text
    assert "its part gelu passed" in told(mlp=Status.FAILED, gelu=Status.PASSED)


def test_what_is_half_there_is_finished() -> None:
    """Some checks hold, others wait for a method."""
    half = record(words=Status.PASSED)
    half.verdicts.append(
        Verdict("words", "back", "it comes back", Status.TO_DO, message="decode() is to do: only `pass`")
    )
    assert " ".join(next_step(half)).startswith("next: finish words. 1 of its 2 checks are to do: decode() is to do")


TWO_MODELS = {"model": ("block", "table"), "other": ("table", "gelu"), "block": ("norm", "mlp"), "mlp": ("gelu",)}


@pytest.mark.parametrize(
    ("done", "first"),
    [
        (("table",), "norm"),  # either may be meant: the first comes first
        (("table", "gelu", "mlp"), "norm"),
        (("table", "gelu", "other"), "words"),
        (("table", "gelu", "other", "words"), "mlp"),  # when nothing else is left
    ],
)
def test_what_only_another_model_is_made_of_is_not_suggested(done: tuple[str, ...], first: str) -> None:
    """Whoever began one model is not sent to the parts of the other."""
    begun = record(**dict.fromkeys(done, Status.PASSED))
    begun.order, begun.parts, begun.models = (*ORDER, "other"), TWO_MODELS, ("model", "other")
    begun.missing = tuple(name for name in begun.order if name not in done)
    assert f"next: implement {first}" in " ".join(next_step(begun))
