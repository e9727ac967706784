"""The loss inside a model's forward pass is judged on the logits of each case."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[1] / "styles"


@pytest.mark.parametrize(
    ("edit", "is_right"),
    [
        (("", ""), True),
        (("targets.view(-1), ignore_index", "targets.view(-1).roll(1), ignore_index"), False),
        (("ignore_index=-1)", "ignore_index=-1) / 2"), False),
        (("ignore_index=-1)", 'ignore_index=-1, reduction="sum")'), False),
    ],
)
def test_the_loss_of_a_forward_pass_is_judged(tmp_path: Path, edit: tuple[str, str], is_right: bool) -> None:
    text = (STYLES / "nano.py").read_text(encoding="utf-8")
    assert edit[0] in text
    (tmp_path / "nano.py").write_text(text.replace(*edit) if edit[0] else text)
    judged = inspect_implementation(str(tmp_path / "nano.py"), cases=6)
    contract, claims = judged.catalogue.contracts["lm_loss"], judged.catalogue.claims_of("lm_loss")
    found = {judged.bench.judge(contract, claim, shrink=False)[0].status for claim in claims}
    assert Status.PASSED in found and (found & {Status.FAILED, Status.CRASHED} == set()) is is_right


@pytest.mark.parametrize("style", ["loss_inside", "book"])
def test_a_model_that_shifts_its_labels_or_has_no_loss_has_none_to_judge(style: str) -> None:
    """The contract's targets are shifted already."""
    assert "lm_loss" not in inspect_implementation(str(STYLES / f"{style}.py")).implementation.components
