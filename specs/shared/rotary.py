"""Rotary positions inside attention, as declared variants: queries and keys are rotated by their position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.core.contract import Variant
from harness.core.mistake import Edit
from reference_model.attention import attention
from reference_model.gpt2 import gpt2

ROTARY, ROTARY_HALVES = "rotary", "rotary_halves"
POSITIONS = "positions"
"""The axis: how queries and keys know their position."""

ANGLES = """
if head_size % 2:
    raise ValueError(f"a head size of {head_size} cannot be rotated in pairs")
base = 10000.0
steps = base ** (-torch.arange(0, head_size, 2, dtype=torch.float64, device=x.device) / head_size)
angles = torch.arange(time, dtype=torch.float64, device=x.device)[:, None] * steps
cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
"""
NEIGHBOURS = (
    "{0} = torch.stack([{0}[..., ::2] * cos - {0}[..., 1::2] * sin, "
    "{0}[..., ::2] * sin + {0}[..., 1::2] * cos], -1).flatten(-2)\n"
)
HALVES = (
    "first, second = {0}.chunk(2, -1)\n{0} = torch.cat([first * cos - second * sin, first * sin + second * cos], -1)\n"
)


def rotary_variants(reference: Callable[..., Any], line: str, keys: str) -> tuple[Variant, Variant]:
    """Both layouts. After ``line`` of the reference, ``q`` and ``keys`` are [batch, head, position, feature]."""

    def edits(rotation: str) -> tuple[Edit, ...]:
        return (Edit(reference, line, line + ANGLES + rotation.format("q") + rotation.format(keys)),)

    return (
        Variant(
            ROTARY,
            "Queries and keys are rotated by their position (RoPE), feature 2i with feature 2i + 1, as in the paper "
            "and Llama's own code; GPT-2 adds position embeddings instead.",
            edits(NEIGHBOURS),
            tables_in_float32=True,
            axis=POSITIONS,
        ),
        Variant(
            ROTARY_HALVES,
            "Queries and keys are rotated by their position (RoPE), feature i with feature i + K/2, as in GPT-NeoX and "
            "Llama of transformers; GPT-2 adds position embeddings instead.",
            edits(HALVES),
            tables_in_float32=True,
            axis=POSITIONS,
        ),
    )


TURNED_K = "k = k.transpose(1, 2)"
ROTARY_ATTENTION = rotary_variants(attention, TURNED_K, "k")
ROTARY_MODEL = tuple(
    replace(
        form,
        sentence=f"{form.sentence} No position embeddings are added.",
        edits=(Edit(gpt2, "stream = tokens + places", "stream = tokens"), *form.edits),
    )
    for form in ROTARY_ATTENTION
)
"""Of a whole model: attention tells the positions, and nothing else does."""
