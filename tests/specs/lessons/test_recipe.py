"""The recipe: its verdicts turn where clipping never clips, warm-up is none, a trainer does not clip."""

from __future__ import annotations

import math
from typing import Any

import torch
from support_lessons import answer, turns, with_arm

from harness.study.studying import lessons
from reference_model.trainer import trainer

CLIPPING, WARM_UP = "clipping_after_a_spoiled_step", "warm_up"
KEPT, REMOVED = "trainer_survives_a_spoiled_step", "trainer_without_clipping_does_not"


def never_clips(grads: Any, max_norm: float) -> Any:
    return list(grads), torch.zeros(())


def without_clipping(config: Any, data: torch.Tensor, seed: int) -> Any:
    """The reference's trainer, which clips nothing."""
    original, torch.nn.utils.clip_grad_norm_ = torch.nn.utils.clip_grad_norm_, lambda *arguments: None
    try:
        return trainer(config, data, seed)
    finally:
        torch.nn.utils.clip_grad_norm_ = original


def test_clipping_that_never_clips_turns_the_verdict() -> None:
    assert turns("recipe", CLIPPING, clip_grad_norm=never_clips).estimate == 0


def test_a_warm_up_of_zero_turns_the_verdict() -> None:
    none = with_arm(lessons()["recipe"], "full recipe", like="no warm-up")
    assert turns("recipe", WARM_UP, none).estimate == 0


def test_a_trainer_that_does_not_clip_turns_the_verdict() -> None:
    turns("recipe", KEPT, trainer=without_clipping)


def test_clipping_that_is_not_there_cannot_be_taken_away() -> None:
    """Then no figure is given."""
    assert math.isnan(answer("recipe", REMOVED, seeds=1, share=0.1, trainer=without_clipping).estimate)


def test_a_loop_without_backward_cannot_be_spoiled() -> None:
    """Then nothing is known of its clipping, and nothing is said."""

    def by_hand(config: Any, data: torch.Tensor, seed: int) -> list[float]:
        return [3.0 - 0.01 * step for step in range(config.steps)]

    assert math.isnan(answer("recipe", KEPT, seeds=1, share=0.1, trainer=by_hand).estimate)
