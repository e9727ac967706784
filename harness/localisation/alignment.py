"""Which values of the implementation's run are right: values of the reference's run, or arguments, in some layout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from harness.core.steps import Step
from harness.localisation.layouts import (
    MASK_FORMS,
    NUMBER_FORMS,
    Form,
    Layout,
    Part,
    arranged,
    is_mask,
    orders,
    whole_layouts,
)

CLOSE = {torch.float64: 1e-8, torch.float32: 2e-5}
"""How far two values may be apart that are one, in units of the larger's largest number."""
ROUNDED = 1e-5
"""The same where tables were computed in float32, whatever is computed with them."""
MOST_PARTS = 64
FRACTIONS = 5040.0
"""A fraction of whole numbers up to ten, times this, is a whole number."""


@dataclass(eq=False)
class Known:
    """A right value: result number ``result`` of step number ``step`` of the reference (-1: an argument)."""

    value: torch.Tensor
    step: int = -1
    result: int = 0
    _sums: dict[tuple[int, int, bool], torch.Tensor] = field(default_factory=dict)

    @cached_property
    def print(self) -> tuple[float, float]:
        """A sum and a sum of sizes, which are the same in every layout."""
        return fingerprint(self.value)

    def part_sums(self, axis: int, count: int, striding: bool) -> torch.Tensor:
        """The sum of each part of ``count`` along an axis."""
        key = (axis, count, striding)
        if key not in self._sums:
            size = self.value.shape[axis] // count
            split = plain(self.value).unflatten(axis, (size, count) if striding else (count, size))
            kept = axis + 1 if striding else axis
            self._sums[key] = split.sum(dim=[d for d in range(split.dim()) if d != kept])
        return self._sums[key]


@dataclass(frozen=True)
class Match:
    """A right value that a value is, and the layout."""

    known: Known
    layout: Layout
    is_same: bool = False
    """Whether it is that value in its own shape, but for axes of size 1."""


def plain(value: torch.Tensor) -> torch.Tensor:
    """In float64, with numbers in the place of infinities."""
    numbers = torch.view_as_real(value.detach()) if value.is_complex() else value.detach()
    return torch.nan_to_num(numbers.double(), nan=7.25, posinf=1234.5, neginf=-1234.5)


def fingerprint(value: torch.Tensor) -> tuple[float, float]:
    """The sum of a value and the sum of its numbers' sizes."""
    numbers = plain(value)
    return float(numbers.sum()), float(numbers.abs().sum())


def is_close(one: torch.Tensor, other: torch.Tensor, rounded: bool = False) -> bool:
    """Whether two values of one shape are the same up to rounding; nan equals nan. ``rounded``: see ``ROUNDED``."""
    if one.shape != other.shape:
        return False
    if one.is_complex() or other.is_complex():
        both = one.is_complex() and other.is_complex()
        return both and is_close(torch.view_as_real(one), torch.view_as_real(other), rounded)
    if not (one.is_floating_point() and other.is_floating_point()):
        return torch.equal(one, other) if one.dtype == other.dtype else torch.equal(one.double(), other.double())
    resolution = max(CLOSE.get(one.dtype, 2e-2), CLOSE.get(other.dtype, 2e-2), ROUNDED if rounded else 0.0)
    a, b = one.double(), other.double()
    same = (a == b) | (a.isnan() & b.isnan())
    if bool(same.all()):
        return True
    sizes = [v[torch.isfinite(v)].abs() for v in (a, b)]
    bound = resolution * max((float(v.max()) for v in sizes if v.numel()), default=0.0)
    return bool((same | ((a - b).abs() <= bound)).all())


class Alignment:
    """Tells right values. ``steps``: the reference's run; ``arguments``: the tensors of the case.

    ``rounded``: whether tables may have been computed in float32. ``single``: whether tensors of one number are told
    too, which the results of a loss are.
    """

    def __init__(
        self, steps: Sequence[Step], arguments: Sequence[torch.Tensor], rounded: bool = False, single: bool = False
    ) -> None:
        self.steps, self.known, self.rounded, self.single = steps, list[Known](), rounded, single
        for n, step in enumerate(steps):
            for k, value in enumerate(step.values):
                if value is not None and self.is_telling(value):
                    self.known.append(Known(value, n, k))
        self.known += [Known(argument) for argument in arguments if argument.numel() > 1]
        self._found: dict[int, list[Match]] = {}
        self._kept: list[torch.Tensor] = []

    def is_telling(self, value: torch.Tensor) -> bool:
        """Whether a value that equals a right one is right: not a single number, but for one that is none by chance."""
        if value.numel() != 1:
            return value.numel() > 1
        return self.single and value.is_floating_point() and not _is_round(float(value))

    def matches(self, value: torch.Tensor) -> list[Match]:
        """The right values that a value is as a whole, or else one that it is a part of; none where it is not right."""
        if id(value) not in self._found:
            self._kept.append(value)
            self._found[id(value)] = self._search(value)
        return self._found[id(value)]

    def derived(self, value: torch.Tensor) -> Match | None:
        """A right value whose root, square, quotient or negative a value is."""
        if not value.is_floating_point() or not self.is_telling(value):
            return None
        for known in self.known:
            if not known.value.is_floating_point() or known.value.numel() != value.numel():
                continue
            for form in NUMBER_FORMS:
                for axes in orders(known.value.shape, value.shape):
                    match = self._checked(known, Layout(axes, None, form), value)
                    if match is not None:
                        return match
        return None

    def _search(self, value: torch.Tensor) -> list[Match]:
        mine = fingerprint(value)
        found = [match for known in self.known if (match := self._whole(known, value, mine)) is not None]
        if found:
            return found
        for known in self.known:
            for layout in _parts(known, value, mine):
                match = self._checked(known, layout, value)
                if match is not None:
                    return [match]
        return []

    def _whole(self, known: Known, value: torch.Tensor, mine: tuple[float, float]) -> Match | None:
        masks = known.value.dtype == torch.bool or value.dtype == torch.bool
        alike = known.value.numel() == value.numel()
        if masks and known.value.numel() <= value.numel() and is_mask(value) and is_mask(known.value):
            return self._mask(known, value)
        if masks or known.value.numel() > value.numel() or (alike and not _near(mine, known.print)):
            return None
        if not alike and (known.value.dim() > value.dim() or value.numel() % known.value.numel()):
            return None
        for layout in whole_layouts(known.value, value.shape, value.dtype):
            match = self._checked(known, layout, value)
            if match is not None:
                return match
        return None

    def _mask(self, known: Known, value: torch.Tensor) -> Match | None:
        """A mask in any of its forms: what is hidden is told by two values, whatever they are."""
        pattern = value if value.dtype == torch.bool else value == 0
        alike = known.value.numel() == value.numel()
        for axes in _mask_orders(known.value, value) if alike else ((),):
            for form in (Form.SAME, Form.NOT):
                shown = arranged(known.value, Layout(axes, None, form), value.shape, torch.bool)
                if shown is not None and torch.equal(shown, pattern):
                    return Match(known, Layout(axes, None, form))
        return None

    def _checked(self, known: Known, layout: Layout, value: torch.Tensor) -> Match | None:
        shown = arranged(known.value, layout, value.shape, value.dtype)
        if shown is None or not is_close(shown, value, self.rounded):
            return None
        return Match(known, layout, list(layout.axes) == sorted(layout.axes) and _bare(known.value) == _bare(value))


def _is_round(number: float) -> bool:
    """Whether it is a simple fraction, or no number."""
    return not math.isfinite(number) or (number * FRACTIONS).is_integer()


def _bare(value: torch.Tensor) -> list[int]:
    return [size for size in value.shape if size != 1]


def _mask_orders(known: torch.Tensor, value: torch.Tensor) -> tuple[tuple[int, ...], ...]:
    """The orders of a mask's axes; of two axes of one size none may stand for the other: past and future differ."""
    bare = _bare(known)
    return (tuple(range(len(bare))),) if bare == _bare(value) else orders(known.shape, value.shape)


def _parts(known: Known, value: torch.Tensor, mine: tuple[float, float]) -> Iterator[Layout]:
    """Layouts in which a value could be a part of a right one: the sums agree."""
    kinds = {(v.dtype == torch.bool, v.is_complex()) for v in (known.value, value)}
    if kinds not in ({(False, False)}, {(True, False)}):
        return
    count, rest = divmod(known.value.numel(), max(value.numel(), 1))
    if rest or not 1 < count <= MOST_PARTS:
        return
    for axis, size in enumerate(known.value.shape):
        if size % count:
            continue
        for striding in (False, True):
            sums = known.part_sums(axis, count, striding)
            close = (sums - mine[0]).abs() <= 1e-4 * max(mine[1], 1e-30)
            for which in torch.nonzero(close).flatten().tolist():
                shape = list(known.value.shape)
                shape[axis] = size // count
                for axes in orders(torch.Size(shape), value.shape):
                    yield Layout(axes, Part(axis, count, which, striding))


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    bound = 1e-4 * max(one[1], other[1], 1e-30)
    return all(math.isfinite(a) and abs(a - b) <= bound for a, b in zip(one, other, strict=True))


__all__ = ["MASK_FORMS", "Alignment", "Known", "Match", "is_close"]
