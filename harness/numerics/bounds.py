"""Bounds on errors: some are worked out only when they are needed, some say nothing of the elements that overflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch

from harness.core.tree import leaves, map_leaves

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


class LazyBound:
    """An absolute bound that is worked out when it is asked for. Most errors are so small that it never is.

    ``least`` is a number that the bound is not below, in the unit of the values, and costs next to nothing; 0 where
    nothing is known. ``value`` is the bound, a float or a PartialBound. Sums and multiples are LazyBounds too; whatever
    else is done with one works it out.
    """

    def __init__(self, least: Callable[[], float], work_out: Callable[[], float]) -> None:
        self._least, self._work_out = least, work_out

    @cached_property
    def least(self) -> float:
        """A number that the bound is not below."""
        return self._least()

    @cached_property
    def value(self) -> float:
        """The bound."""
        return self._work_out()

    def __float__(self) -> float:
        return float(self.value)

    def __mul__(self, factor: Any) -> Any:
        if not isinstance(factor, (int, float)) or factor < 0:
            return self.value * factor
        return LazyBound(lambda: factor * self.least, lambda: factor * self.value)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        if isinstance(other, LazyBound):
            return LazyBound(lambda: self.least + other.least, lambda: self.value + other.value)
        if not isinstance(other, (int, float)):
            return self.value + other
        return LazyBound(lambda: self.least + other, lambda: self.value + other)

    __radd__ = __add__

    def __truediv__(self, other: Any) -> Any:
        return self.value / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.value

    def __sub__(self, other: Any) -> Any:
        return self.value - other

    def __rsub__(self, other: Any) -> Any:
        return other - self.value

    def __lt__(self, other: Any) -> Any:
        return self.value < other

    def __le__(self, other: Any) -> Any:
        return self.value <= other

    def __gt__(self, other: Any) -> Any:
        return self.value > other

    def __ge__(self, other: Any) -> Any:
        return self.value >= other

    def __eq__(self, other: Any) -> Any:
        return self.value == other

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def worked_out(bound: Any) -> Any:
    """The bound itself, where it is a LazyBound; anything else as it is."""
    return bound.value if isinstance(bound, LazyBound) else bound


def least_of(tolerance: Any) -> Any:
    """A tree of bounds none of which is above its own in ``tolerance``, without working any out.

    None where there is none that has not been worked out, or one of which nothing is known.
    """
    lazy = [bound for _, bound in leaves(tolerance) if isinstance(bound, LazyBound) and "value" not in vars(bound)]
    if not lazy or any(bound.least <= 0 for bound in lazy):
        return None
    return map_leaves(tolerance, lambda _, bound: bound.least if isinstance(bound, LazyBound) else bound)


def accepts_everything(tolerance: Any) -> bool:
    """Whether a tree of bounds accepts whatever numbers it is given: it holds bounds, and all of them are inf.

    None (compare exactly) is no such bound, and neither is a PartialBound, which is finite at one element at least.
    """
    bounds = [worked_out(bound) for _, bound in leaves(tolerance)]
    return bool(bounds) and all(bound == INFINITE and not isinstance(bound, PartialBound) for bound in bounds)


def joined_bound(bounds: Sequence[float], chunks: Sequence[torch.Tensor], axis: int) -> float:
    """The bound of some tensors joined along an axis: the largest that is known.

    ``bounds``: one for each of ``chunks``, in the unit of the values. inf where no element of any has a bound.
    """
    bounds = [worked_out(bound) for bound in bounds]
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
