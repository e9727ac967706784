"""Tensors by recipe: a family of values from simple to nasty, a seed, and up to two sparse overrides.

Such a recipe shrinks to small shapes and simple values and costs about 1 ms an example; element-wise arrays are 7-10
times slower and fail Hypothesis's health checks at 1,000 elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from hypothesis import strategies as st

Maker = Callable[[tuple[int, ...], torch.Generator], torch.Tensor]


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _one_hot(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    values = torch.zeros(shape, dtype=torch.float64).reshape(-1)
    if values.numel():
        values[int(torch.randint(0, values.numel(), (), generator=generator))] = 1.0
    return values.reshape(shape)


def _integers(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randint(-3, 4, shape, generator=generator).double()


def _counting(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)


def _heavy(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    values = _normal(shape, generator)
    return values * values.abs() ** 2


def _near_constant_rows(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    rows = _normal((*shape[:-1], 1), generator) if shape else _normal((), generator)
    return rows + 1e-3 * _normal(shape, generator)


def _repeated_rows(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if len(shape) < 2:
        return _normal(shape, generator)
    return _normal((*shape[:-2], 1, shape[-1]), generator).expand(shape).clone()


def _mixed_scales(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    exponents = 6 * torch.rand(shape, generator=generator, dtype=torch.float64) - 3
    return _normal(shape, generator) * 10**exponents


FAMILIES: dict[str, Maker] = {
    "counting": _counting,
    "zeros": lambda shape, generator: torch.zeros(shape, dtype=torch.float64),
    "ones": lambda shape, generator: torch.ones(shape, dtype=torch.float64),
    "one-hot": _one_hot,
    "small integers": _integers,
    "normal": _normal,
    "large offset": lambda shape, generator: 100 + _normal(shape, generator),
    "tiny spread": lambda shape, generator: 1e-3 * _normal(shape, generator),
    "mixed scales": _mixed_scales,
    "heavy tails": _heavy,
    "near-constant rows": _near_constant_rows,
    "repeated rows": _repeated_rows,
    "wide": lambda shape, generator: 12 * torch.rand(shape, generator=generator, dtype=torch.float64) - 6,
}
"""Families of values, simple ones first: Hypothesis shrinks towards the front."""

ORDINARY = ("small integers", "normal", "wide", "tiny spread")
"""Families under which a composite stays well conditioned."""


def make(family: str, shape: Sequence[int], seed: int) -> torch.Tensor:
    """The float64 tensor of a family, shape and seed; equal on every machine with the same torch."""
    return FAMILIES[family](tuple(shape), torch.Generator().manual_seed(seed))


seeds = st.integers(0, 2**31 - 1)


@st.composite
def tensors(
    draw: st.DrawFn, shape: Sequence[int], families: Sequence[str] = tuple(FAMILIES), overrides: bool = True
) -> tuple[torch.Tensor, str]:
    """A float64 tensor of this shape, and the name of its family."""
    family = draw(st.sampled_from(list(families)))
    values = make(family, shape, draw(seeds))
    if overrides and values.numel():
        flat = values.reshape(-1)
        for position, value in draw(
            st.lists(
                st.tuples(st.integers(0, flat.numel() - 1), st.sampled_from((0.0, 1.0, -1.0, 3.0, -6.0))), max_size=2
            )
        ):
            flat[position] = value
    return values, family


@st.composite
def parameters(draw: st.DrawFn, shape: Sequence[int], scale: float = 1.0, around: float = 0.0) -> torch.Tensor:
    """A learned tensor: normal values of this scale around a centre, never the neutral value itself.

    Gains differ from 1 and biases from 0, for a forgotten one shows only then.
    """
    values = around + scale * make("normal", shape, draw(seeds))
    return values


@st.composite
def token_ids(draw: st.DrawFn, shape: Sequence[int], vocab_size: int) -> torch.Tensor:
    """int64 ids of this shape, with a repeat forced wherever there is room for one (15 % of random batches have none),
    and id 0 and the last id forced in half of them."""
    generator = torch.Generator().manual_seed(draw(seeds))
    ids = torch.randint(0, vocab_size, tuple(shape), generator=generator)
    flat = ids.reshape(-1)
    if draw(st.booleans()) and flat.numel() > 2:
        flat[0], flat[-1] = 0, vocab_size - 1
    if flat.numel() > 1:
        source, target = draw(st.tuples(st.integers(0, flat.numel() - 1), st.integers(0, flat.numel() - 1)))
        target = target if target != source else (source + 1) % flat.numel()
        flat[target] = flat[source]
    return ids
