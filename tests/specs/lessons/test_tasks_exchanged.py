"""The verdicts of the lessons on costs, tasks and languages turn where their subject is exchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support_lessons import FULL, answer, turns, with_arm

from harness.study.studying import lessons
from reference_model.attention import attention
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention


def test_a_tokenizer_of_single_bytes_costs_all_scripts_alike() -> None:
    class of_bytes:
        """Every byte is a token."""

        def __init__(self, ranks: dict[bytes, int]) -> None:
            pass

        def encode(self, text: str) -> list[int]:
            return list(text.encode("utf-8"))

    turns("tokenizer-cost", "other_scripts_cost_three_times", tokenizer=of_bytes)
    assert answer("tokenizer-cost", "bytes_cost_alike", seeds=2).estimate > 1.25
    assert answer("tokenizer-cost", "bytes_cost_alike", seeds=2, tokenizer=of_bytes).estimate == 1


def test_full_attention_in_the_place_of_linear_attention_keeps_t_squared() -> None:
    """Memory is counted, so that no clock decides."""

    def quadratic(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril()
        return scaled_dot_product_attention(q, k, v, mask)

    turns("attention-cost", "linear_memory", linear_attention=quadratic)


def test_a_window_that_is_cut_out_keeps_t_numbers() -> None:
    """The reference's window is a mask over all scores. Chunks show the other verdict."""

    def in_chunks(x: torch.Tensor, n_heads: int, window: int, **weights: Any) -> torch.Tensor:
        pieces = [x[:, max(0, at - window) : at + window] for at in range(0, x.shape[1], window)]
        outs = [attention(piece, n_heads=n_heads, **weights)[:, -window:] for piece in pieces]
        return torch.cat(outs, 1)

    assert answer("attention-cost", "window_memory", seeds=1).estimate > 1.3
    assert answer("attention-cost", "window_memory", seeds=1, sliding_window_attention=in_chunks).estimate < 1.3


def test_projections_that_are_ignored_leave_gradients_as_large_as_they_are() -> None:
    def full(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **projections: torch.Tensor) -> torch.Tensor:
        return scaled_dot_product_attention(q, k, v)

    assert turns("low-rank-noise", "gradients_are_larger", low_rank_attention=full).estimate == 0


@pytest.mark.skipif(not FULL, reason="PLUMBLINE_FULL=1 trains until the skill is there")
def test_a_second_layer_that_is_the_first() -> None:
    same = with_arm(lessons()["threshold"], "2 layers, width 32", like="1 layer, width 32")
    assert turns("threshold", "it_needs_two_layers", same).estimate == 0


def test_data_that_ask_evenly_lose_no_middle() -> None:
    even = with_arm(lessons()["lost-in-context"], "asked at the ends", like="asked evenly")
    turns("lost-in-context", "data_that_ask_at_the_ends_lose_the_middle", even)
