"""The loss inside a model's forward pass is judged on the logits of each case."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[1] / "styles"


ROLLED = ("targets.view(-1), ignore_index", "targets.view(-1).roll(1), ignore_index")
HALVED = ("ignore_index=-1)", "ignore_index=-1) / 2")
SUMMED = ("ignore_index=-1)", 'ignore_index=-1, reduction="sum")')
SHIFTED_BY_TWO = ("logits[:, :-1].flatten(0, 1), labels[:, 1:]", "logits[:, :-2].flatten(0, 1), labels[:, 2:]")


@pytest.mark.parametrize(
    ("style", "edit", "is_right"),
    [
        ("nano", ("", ""), True),
        ("nano", ROLLED, False),
        ("nano", HALVED, False),
        ("nano", SUMMED, False),
        ("llama_single_file", ("", ""), True),
        ("llama_single_file", HALVED, False),
        ("loss_inside", ("", ""), True),
        ("loss_inside", ("ignore_index=-100)", "ignore_index=-100) * 2"), False),
        ("loss_inside", SHIFTED_BY_TWO, False),
    ],
)
def test_the_loss_of_a_forward_pass_is_judged(
    tmp_path: Path, style: str, edit: tuple[str, str], is_right: bool
) -> None:
    """Of GPT-2 and of Llama; returned or kept; with targets that are shifted already, or labels that it shifts."""
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    assert edit[0] in text
    (tmp_path / "mine.py").write_text(text.replace(*edit) if edit[0] else text)
    judged = inspect_implementation(str(tmp_path / "mine.py"), cases=6)
    contract, claims = judged.catalogue.contracts["lm_loss"], judged.catalogue.claims_of("lm_loss")
    found = {judged.bench.judge(contract, claim, shrink=False)[0].status for claim in claims}
    assert Status.PASSED in found and (found & {Status.FAILED, Status.CRASHED} == set()) is is_right


def test_a_model_without_a_loss_has_none_to_judge() -> None:
    """Its forward takes no targets."""
    assert "lm_loss" not in inspect_implementation(str(STYLES / "book.py")).implementation.components
