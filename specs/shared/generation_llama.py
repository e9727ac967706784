"""Llamas for generation: their sizes and their random weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.values import Settings
from reference_model.llama import llama
from specs.naming.llama import LLAMA, LLAMA_CONFIG
from specs.shared.attention import learned
from specs.shared.generation_models import Family


@st.composite
def sizes_of_llama(draw: st.DrawFn, context: int) -> Settings:
    """Small ones: heads of an even size, which can be rotated, and mostly fewer key-value heads than heads."""
    heads, kv_heads, size = draw(st.sampled_from(((2, 1, 4), (4, 2, 2), (2, 2, 4), (2, 1, 4))))
    width = heads * size
    return Settings(
        vocab_size=draw(st.sampled_from((9, 11, 13))),
        context=context,
        width=width,
        heads=heads,
        kv_heads=kv_heads if kv_heads != heads else None,
        head_size=None,
        hidden=draw(st.sampled_from((4 * width, 4 * width, int(8 * width / 3)))),
        layers=draw(st.sampled_from((1, 2))),
    )


def weights_of_llama(config: Settings, seed: int) -> dict[str, Any]:
    """With a head of its own, a gate, and everything that a layer may have beside; what code lacks is left out."""
    width, hidden, size = config.width, config.hidden, config.width // config.heads
    shared = (config.kv_heads or config.heads) * size

    def tensor(at: int, *shape: int, scale: float, around: float = 0.0) -> torch.Tensor:
        return learned("normal", shape, 1000 * seed + at, scale, around)

    def layer(at: int) -> dict[str, torch.Tensor]:
        return {
            "norm_1_weight": tensor(at, width, scale=0.3, around=1.2),
            "query_weight": tensor(at + 1, width, width, scale=1.2 / width**0.5),
            "key_weight": tensor(at + 2, shared, width, scale=1.2 / width**0.5),
            "value_weight": tensor(at + 3, shared, width, scale=1.5 / width**0.5),
            "out_weight": tensor(at + 4, width, width, scale=2.0 / width**0.5),
            "query_bias": tensor(at + 5, width, scale=0.3),
            "key_bias": tensor(at + 6, shared, scale=0.3),
            "value_bias": tensor(at + 7, shared, scale=0.3),
            "out_bias": tensor(at + 8, width, scale=0.3),
            "q_norm_weight": tensor(at + 9, size, scale=0.3, around=1.2),
            "k_norm_weight": tensor(at + 10, size, scale=0.3, around=1.0),
            "sinks": tensor(at + 11, config.heads, scale=0.5),
            "norm_2_weight": tensor(at + 12, width, scale=0.3, around=1.0),
            "gate_weight": tensor(at + 13, hidden, width, scale=1.5 / width**0.5),
            "up_weight": tensor(at + 14, hidden, width, scale=1.5 / width**0.5),
            "down_weight": tensor(at + 15, width, hidden, scale=1.5 / width**0.5),
            "post_norm_1_weight": tensor(at + 16, width, scale=0.3, around=1.0),
            "post_norm_2_weight": tensor(at + 17, width, scale=0.3, around=1.0),
        }

    return {
        "token_embedding": tensor(0, config.vocab_size, width, scale=0.5),
        "blocks": [layer(20 * (index + 1)) for index in range(config.layers)],
        "final_norm_weight": tensor(2, width, scale=0.3, around=1.5),
        "head_weight": tensor(3, config.vocab_size, width, scale=0.6),
    }


LAYER = ("norm_1_weight", "query_weight", "key_weight", "value_weight", "out_weight", "norm_2_weight")
GATED = ("gate_weight", "up_weight", "down_weight")


def plain_llama(ids: torch.Tensor, weights: Mapping[str, Any], config: Settings) -> torch.Tensor:
    """What a Llama gives that has nothing beside what each has, and whose head is its embedding."""
    blocks = [{name: layer[name] for name in (*LAYER, *GATED)} for layer in weights["blocks"]]
    return llama(ids, {**weights, "blocks": blocks, "head_weight": None}, config)


LLAMA_MODELS = Family(plain_llama, sizes_of_llama, weights_of_llama, LLAMA, LLAMA_CONFIG)
