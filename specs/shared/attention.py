"""Attention, the block and the whole model: sizes and weights of their cases, and comparisons of their outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation
from harness.strategies.shapes import size_set
from harness.strategies.tensors import make, seeds

ROOMY_CONTEXT = 32
"""The context of modules that take one; no case has so many positions, unless its time is set."""
Weights = dict[str, Any]
"""Tensors by name; None for a bias that is left out."""
WEIGHTS = ("normal", "small integers")
"""Families of weight matrices. Small integers are easy to read; normal ones have no accidental zeros."""


@st.composite
def head_sizes(
    draw: st.DrawFn,
    /,
    most_time: int = 7,
    most_batch: int = 5,
    most_heads: int = 4,
    four_fold: bool = False,
    **more: tuple[int, int],
) -> dict[str, int]:
    """batch, time, width, heads and further sizes within limits; those above 1 differ, and differ from the head size.

    ``four_fold``: a hidden size of four times the width, as in GPT-2; many modules accept no other.

    Five of six cases have several heads: only they show scaling by the width, and exchanged or mixed heads. Width and
    heads are equal only where a head has one feature, width and head size only where there is one head.
    """
    heads = draw(st.sampled_from([h for h in (1, 2, 3, 2, 4, 3) if h <= most_heads]))
    head_size = draw(st.sampled_from([k for k in (2, 3, 4, 5, 1) if k != heads]))
    sizes = {"width": heads * head_size, "heads": heads}
    if four_fold:
        sizes["hidden"] = 4 * sizes["width"]
    taken = {head_size, *sizes.values()}
    for name, (least, most) in {"time": (1, most_time), "batch": (1, most_batch), **more}.items():
        free = [n for n in range(least, most + 1) if n == 1 or n not in taken]
        sizes[name] = draw(st.sampled_from(size_set(name, free)))
        taken.add(sizes[name])
    return sizes


def roomy_context(time: int) -> int:
    """A context of modules that take one, with room for so many positions."""
    return max(ROOMY_CONTEXT, time + 7)


def learned(family: str, shape: Sequence[int], seed: int, scale: float, around: float = 0.0) -> torch.Tensor:
    """A learned tensor of about this scale: normal, or small integers divided to that scale."""
    values = make(family, shape, seed)
    return around + scale * (values / 2 if family == "small integers" else values)


@st.composite
def attention_weights(draw: st.DrawFn, width: int, sharpness: float = 1.5, biases: bool = True) -> Weights:
    """Weights for which attention is far from uniform: logits of standard deviation ``sharpness`` for normal x."""
    family, seed = draw(st.sampled_from(WEIGHTS)), draw(seeds)
    with_qkv, with_out = (draw(st.integers(0, 4)) > 0 and biases for _ in range(2))
    projection = math.sqrt(sharpness / width)
    return {
        "qkv_weight": learned(family, (3 * width, width), seed, projection),
        "qkv_bias": learned(family, (3 * width,), seed + 1, 0.5) if with_qkv else None,
        "out_weight": learned(family, (width, width), seed + 2, 1 / math.sqrt(width)),
        "out_bias": learned(family, (width,), seed + 3, 0.5) if with_out else None,
    }


@st.composite
def mlp_weights(draw: st.DrawFn, width: int, hidden: int) -> Weights:
    """Weights for which the activation is nonlinear, and biases as large as the numbers they are added to."""
    family, seed = draw(st.sampled_from(WEIGHTS)), draw(seeds)
    with_up, with_down = (draw(st.integers(0, 4)) > 0 for _ in range(2))
    return {
        "up_weight": learned(family, (hidden, width), seed, 1.5 / math.sqrt(width)),
        "up_bias": learned(family, (hidden,), seed + 1, 0.5) if with_up else None,
        "down_weight": learned(family, (width, hidden), seed + 2, 1 / math.sqrt(hidden)),
        "down_bias": learned(family, (width,), seed + 3, 0.5) if with_down else None,
    }


SILENCED = ("out_weight", "out_bias", "down_weight", "down_bias")


@st.composite
def block_weights(draw: st.DrawFn, width: int, hidden: int, silent: tuple[str, ...] = ()) -> Weights:
    """All weights of one block. Gains differ from 1 and from each other; those in ``silent`` are all zeros."""
    seed = draw(seeds)
    with_shift = draw(st.integers(0, 5)) > 0
    weights = {
        "norm_1_weight": learned("normal", (width,), seed, 0.4, around=1.3),
        "norm_1_bias": learned("normal", (width,), seed + 1, 0.4) if with_shift else None,
        **draw(attention_weights(width)),
        "norm_2_weight": learned("normal", (width,), seed + 2, 0.4, around=0.8),
        "norm_2_bias": learned("normal", (width,), seed + 3, 0.4) if with_shift else None,
        **draw(mlp_weights(width, hidden)),
    }
    return {name: silence(value) if name in silent else value for name, value in weights.items()}


silent_parts = st.sampled_from((*((),) * 9, SILENCED[:2], SILENCED[2:], SILENCED))
"""Which output projections are zero: mostly none, else those of one sublayer or of both, which isolates the rest."""


def silence(value: torch.Tensor | None) -> torch.Tensor | None:
    """Zeros of the same shape; None stays None."""
    return None if value is None else torch.zeros_like(value)


def output(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """The implementation's output, checked to be a tensor of the reference's shape."""
    value, expected = trial.run(case).value, trial.expect(case).value
    if not torch.is_tensor(value) or value.shape != expected.shape:
        if not torch.is_tensor(value):
            raise Violation(f"out is a {type(value).__name__}; expected a tensor")
        raise Violation(f"out has shape {list(value.shape)}; expected shape {list(expected.shape)}")
    return value


def tolerance(trial: Trial, *cases: Case | None) -> Any:
    """The tolerance for comparing runs of these cases with each other: the sum of theirs."""
    return sum(trial.spread_of_value(case) for case in cases)


def moved_by_a_float32_scale(values: torch.Tensor) -> float:
    """How far an output may move where two scales that are compared, 1/sqrt(K) and another, are float32 numbers.

    A relative change c of all logits moves a softmax's weighted mean by at most c/2 times the range of the values. (In
    few cases every K may have a root that float32 holds exactly; then nothing else shows that the scale is in float32.)
    """
    return 8 * torch.finfo(torch.float32).eps * float(values.abs().max())


def unmoved(trial: Trial, changed: Case, what: str) -> None:
    """The changed case has the same output."""
    trial.close(output(trial, changed), output(trial), tolerance(trial, None, changed), what)


def with_time(case: Case, time: int) -> Case:
    """The same case with this number of positions among its dimensions."""
    return replace(case, dimensions={**case.dimensions, "time": time})


def elsewhere(trial: Trial, value: torch.Tensor, size: float = 1.0) -> torch.Tensor:
    """Normal values of this scale and the shape of ``value``, from the trial's generator."""
    return size * torch.randn(value.shape, generator=trial.random(), dtype=torch.float64)
