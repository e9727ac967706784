"""Bounds on errors, where the reference itself overflows at some elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.core.tree import leaves

INFINITE = float("inf")


class PartialBound(float):
    """An absolute bound for some elements of a tensor; the others may be anything, infinity and nan included.

    ``limit``: the bound, in the unit of the values. ``unknown``: a bool tensor of the values' shape, true at the
    elements where the reference overflows in the dtype that is judged. As a plain number it is inf, so that code
    which knows one bound for a whole tensor accepts every number. A multiple of it is a PartialBound too.
    """

    limit: float
    unknown: torch.Tensor

    def __new__(cls, limit: float, unknown: torch.Tensor) -> PartialBound:
        """The bound ``limit`` where ``unknown`` is false."""
        bound = super().__new__(cls, INFINITE)
        bound.limit, bound.unknown = limit, unknown
        return bound

    def __getnewargs__(self) -> tuple[Any, ...]:  # copies and pickles
        return self.limit, self.unknown

    def __mul__(self, factor: float) -> PartialBound:
        return PartialBound(factor * self.limit, self.unknown)

    __rmul__ = __mul__


def accepts_everything(tolerance: Any) -> bool:
    """Whether a tree of bounds accepts whatever numbers it is given: it holds bounds, and all of them are inf.

    None (compare exactly) is no such bound, and neither is a PartialBound, which is finite at one element at least.
    """
    bounds = [bound for _, bound in leaves(tolerance)]
    return bool(bounds) and all(bound == INFINITE and not isinstance(bound, PartialBound) for bound in bounds)


def joined_bound(bounds: Sequence[float], chunks: Sequence[torch.Tensor], axis: int) -> float:
    """The bound of some tensors joined along an axis: the largest that is known.

    ``bounds``: one for each of ``chunks``, in the unit of the values. inf where no element of any has a bound.
    """
    if not any(_is_known(bound) for bound in bounds):
        return INFINITE
    pairs = list(zip(bounds, chunks, strict=True))
    unknown = torch.cat([_unknown(bound, chunk) for bound, chunk in pairs], axis)
    limit = max(bound.limit if isinstance(bound, PartialBound) else bound for bound in bounds if _is_known(bound))
    return PartialBound(limit, unknown) if bool(unknown.any()) else limit


def _is_known(bound: float) -> bool:
    return bound != INFINITE or isinstance(bound, PartialBound)


def _unknown(bound: float, values: torch.Tensor) -> torch.Tensor:
    if isinstance(bound, PartialBound):
        return bound.unknown
    return torch.full(values.shape, bound == INFINITE)
