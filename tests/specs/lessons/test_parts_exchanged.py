"""The verdict of a lesson turns where the part that it is about does nothing, or an arm is run like the other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from support_lessons import FULL, answer, turns, with_arm

from harness.study.studying import lessons
from reference_model.adamw import adamw
from reference_model.lora import lora


class NoRounding:
    """A quantizer that does not round."""

    def __init__(self, **settings: Any) -> None:
        pass

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_eight_bit_moments_that_are_not_there() -> None:
    """32 bits in their place take all of the memory, and the same path."""
    assert turns("adam-bits", "it_takes_a_quarter_of_the_memory", share=0.1, adamw_8bit=adamw).estimate == 100
    assert answer("adam-bits", "it_takes_the_same_path", seeds=1, share=0.1).estimate > 1
    assert answer("adam-bits", "it_takes_the_same_path", seeds=1, share=0.1, adamw_8bit=adamw).estimate == 0


def test_an_optimizer_that_never_moves() -> None:
    class idle(adamw):
        """Its parameters stay as they are."""

        def step(self, grads: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
            return list(self.params)

    turns("adam-bits", "it_reaches_the_same_loss", share=0.2, adamw_8bit=idle)


def test_a_tied_arm_that_is_untied() -> None:
    untied = with_arm(lessons()["tying"], "tied, width 16", like="untied, width 16")
    assert turns("tying", "it_saves_a_fifth_at_width_16", untied, share=0.05).estimate == 0


def test_a_rotation_that_does_not_turn() -> None:
    def still(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return x

    turns("positions", "rotary_is_better_within", share=0.5, rope=still)


def test_rslora_with_the_scale_of_lora() -> None:
    wrong = turns("lora-rank", "rslora_ends_lower_at_a_high_rank", share=0.3, rslora=lora)
    assert wrong.estimate == 0


def test_quantization_that_does_not_round() -> None:
    assert turns("quantize-when", "two_bits_at_the_end_cost", share=0.3, fake_quantize=NoRounding).estimate == 0
    assert answer("activation-range", "rounding_costs", seeds=1, share=0.1).estimate != 0
    assert answer("activation-range", "rounding_costs", seeds=1, share=0.1, fake_quantize=NoRounding).estimate == 0


def test_blocks_that_do_nothing_round_nothing() -> None:
    def idle(x: torch.Tensor, weights: Mapping[str, Any], n_heads: int) -> torch.Tensor:
        return x

    turns("depth-noise", "rounding_grows", block=idle)


@pytest.mark.skipif(not FULL, reason="PLUMBLINE_FULL=1 trains twelve models of six layers")
def test_post_norm_that_is_pre_norm() -> None:
    whole = lessons()["norm-placement"]
    same = with_arm(whole, "post-norm, 6 layers", like="pre-norm, 6 layers")
    assert turns("norm-placement", "post_norm_fails_at_a_high_rate", same).estimate == 0
