"""The layouts in which two programs keep one value: axes in another order, merged or split; parts; masks.

Cases are drawn with sizes that differ, so that the sizes alone nearly fix the layout. Values are compared in their
layout, never sorted: a tensor that is viewed wrongly holds the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate, permutations

import torch

MOST_AXES, MOST_ORDERS = 6, 12
LARGE = 1e4
"""What is below -LARGE in a mask that is added hides as -inf does."""


class Form(Enum):
    """What else is done to the numbers of a value: masks are kept in several forms, and roots, squares and quotients
    are ways to the same number."""

    SAME = "same"
    NOT = "not"
    HIDES = "hides"
    """-inf where the mask is True, 0 elsewhere."""
    SHOWS = "shows"
    """-inf where the mask is False, 0 elsewhere."""
    SQUARE = "square"
    ROOT = "root"
    QUOTIENT = "quotient"
    NEGATIVE = "negative"


MASK_FORMS = (Form.SAME, Form.NOT, Form.HIDES, Form.SHOWS)
NUMBER_FORMS = (Form.SQUARE, Form.ROOT, Form.QUOTIENT, Form.NEGATIVE)


@dataclass(frozen=True)
class Part:
    """Part number ``which`` of ``count`` equal ones along an axis: neighbours, or (``striding``) every count-th."""

    axis: int
    count: int
    which: int
    striding: bool = False


@dataclass(frozen=True)
class Layout:
    """From one value to another: its ``part``, in this ``form``, the axes in this order (without those of size 1),
    merged or split into the shape that is wanted."""

    axes: tuple[int, ...] = ()
    part: Part | None = None
    form: Form = Form.SAME


def in_form(value: torch.Tensor, form: Form, dtype: torch.dtype) -> torch.Tensor | None:
    """The value in a form, in this dtype; None where it has none."""
    if form is Form.SAME:
        if dtype == torch.bool and value.dtype != torch.bool:
            return value == 0 if is_mask(value) else None
        return value.to(dtype)
    if form in NUMBER_FORMS:
        if not value.is_floating_point() or not dtype.is_floating_point:
            return None
        return _of_numbers(value, form).to(dtype)
    mask = value if value.dtype == torch.bool else value == 0 if is_mask(value) else None
    if mask is None:
        return None
    if form is Form.NOT:
        return (~mask).to(dtype)
    if not dtype.is_floating_point:
        return None
    hidden = mask if form is Form.HIDES else ~mask
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(hidden, -math.inf)


def _of_numbers(value: torch.Tensor, form: Form) -> torch.Tensor:
    if form is Form.SQUARE:
        return torch.square(value)
    if form is Form.ROOT:
        return torch.sqrt(value)
    return torch.reciprocal(value) if form is Form.QUOTIENT else torch.neg(value)


def is_mask(value: torch.Tensor) -> bool:
    """Whether it holds two values that tell what is hidden: True and False, 0 and 1, or 0 and -inf."""
    if value.dtype == torch.bool:
        return True
    if value.is_complex() or value.numel() < 2 or not bool((value == 0).any()):
        return False
    rest = value[value != 0]
    return bool(rest.numel()) and (bool((rest == 1).all()) or bool((rest < -LARGE).all()))


def taken(value: torch.Tensor, part: Part | None) -> torch.Tensor | None:
    """A part of a value; None where it has no such part."""
    if part is None:
        return value
    if part.axis >= value.dim() or part.count < 1 or value.shape[part.axis] % part.count:
        return None
    size = value.shape[part.axis] // part.count
    if part.striding:
        split: torch.Tensor = value.unflatten(part.axis, (size, part.count))
        return split.select(part.axis + 1, part.which)
    return value.narrow(part.axis, part.which * size, size)


def arranged(value: torch.Tensor, layout: Layout, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor | None:
    """The value in a layout, in this shape and dtype; None where it does not fit.

    A value of fewer numbers is broadcast to the shape.
    """
    part = taken(value, layout.part)
    formed = None if part is None else in_form(part, layout.form, dtype)
    if formed is None:
        return None
    if formed.numel() != math.prod(shape):
        try:
            return formed.expand(shape) if formed.numel() < math.prod(shape) else None
        except RuntimeError:
            return None
    bare = formed.squeeze()
    if sorted(layout.axes) != list(range(bare.dim())):
        return None
    turned = bare.permute(layout.axes)
    return turned.reshape(shape) if _fits(turned.shape, shape) else None


def orders(shape: torch.Size, wanted: torch.Size) -> tuple[tuple[int, ...], ...]:
    """The orders of the axes (without those of size 1) in which a value can be split or merged into a shape."""
    return _orders(tuple(s for s in shape if s != 1), tuple(wanted))


@lru_cache(maxsize=4096)
def _orders(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if math.prod(shape) != math.prod(wanted) or len(shape) > MOST_AXES:
        return ()
    found = [axes for axes in permutations(range(len(shape))) if _fits([shape[a] for a in axes], wanted)]
    return tuple(found[:MOST_ORDERS])


def _fits(shape: torch.Size | list[int], wanted: torch.Size | tuple[int, ...]) -> bool:
    """Whether axes need only be merged, or only be split, to get from one shape to the other."""
    ends = [set(accumulate((s for s in sizes if s != 1), lambda a, b: a * b)) for sizes in (shape, wanted)]
    return ends[0] <= ends[1] or ends[1] <= ends[0]


def whole_layouts(value: torch.Tensor, shape: torch.Size, dtype: torch.dtype) -> Iterator[Layout]:
    """Every layout of a whole value that has this shape; masks in each of their forms."""
    if value.dtype == dtype == torch.bool:
        forms: tuple[Form, ...] = (Form.SAME, Form.NOT)
    else:
        forms = MASK_FORMS if value.dtype == torch.bool or (dtype == torch.bool and is_mask(value)) else (Form.SAME,)
    axes = orders(value.shape, shape) if value.numel() == math.prod(shape) else ((),)
    for form in forms:
        for order in axes:
            yield Layout(order, None, form)
