"""Compare two trees of values: how far apart they are in units of a tolerance, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from harness.core.tree import leaves
from harness.numerics.bounds import INFINITE, PartialBound, least_of, worked_out

MAP_SIZE, LARGEST = 24, 1e30
"""Rows and columns of errors that are kept to be shown, and the largest error that is kept as a number."""


@dataclass(frozen=True)
class Comparison:
    """How far one value is from another.

    ``ratio``: the largest error in units of the tolerance, at least 0; inf for a difference in kind, shape or exact
    value.
    ``where``: the worst element with both numbers, empty where the ratio is at most 1. ``error_map``: where it
    exceeds 1, the errors over the last two axes of a tensor around the worst element, rows by columns, at most 24 of
    each.
    """

    ratio: float
    where: str = ""
    error_map: tuple[tuple[float, ...], ...] = ()

    @property
    def fine(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.ratio <= 1.0


def compare(actual: Any, expected: Any, tolerance: Any, name: str = "out") -> Comparison:
    """Compare two trees of lists, tuples, dicts, tensors and plain values, leaf by leaf; the worst leaf is returned.

    Floating-point tensors and numbers are compared within ``tolerance``: a tree like ``expected`` of absolute bounds
    (in the unit of the values), or one bound for all leaves; everything else is compared exactly. None is a bound of 0.
    A bound of inf accepts every number, a PartialBound does so at the elements where the reference overflows.
    Elements that are equal, infinities included, or nan on both sides, have no error. Raises nothing for values of
    the wrong kind or shape: they are infinitely far, and ``where`` says why. ``name`` is what messages call the value.
    Bounds that are not worked out yet are.
    """
    if isinstance(expected, (list, tuple)):
        return _compare_sequences(actual, expected, tolerance, name)
    if isinstance(expected, dict):
        return _compare_dicts(actual, expected, tolerance, name)
    if torch.is_tensor(expected):
        return _compare_tensors(actual, expected, tolerance, name)
    if type(actual) in (int, float) and type(expected) in (int, float) and tolerance is not None:
        return Comparison(_ratio(_gap(actual, expected), float(tolerance)), f"{name} = {actual}, expected {expected}")
    if type(actual) is not type(expected) and not (isinstance(actual, type(expected))):
        return Comparison(INFINITE, f"{name} is {_kind(actual)}, expected {_kind(expected)}")
    if isinstance(expected, numpy.ndarray):
        return _compare_tensors(torch.as_tensor(actual), torch.as_tensor(expected), tolerance, name)
    if hasattr(expected, "__dict__"):  # an object of the implementation's: what it holds shows in what is made of it
        return Comparison(0.0)
    if actual != expected:
        texts = isinstance(actual, str) and isinstance(expected, str)
        where = f"; {_where_texts_part(actual, expected)}" if texts else ""
        return Comparison(INFINITE, f"{name} = {_short(actual)}, expected {_short(expected)}{where}")
    return Comparison(0.0)


def is_within(actual: Any, expected: Any, tolerance: Any) -> bool:
    """Whether two trees of values agree within ``tolerance``, as :func:`compare` says.

    Bounds are worked out only where the error is larger than what they are at least.
    """
    least = least_of(tolerance)
    return (least is not None and compare(actual, expected, least).fine) or compare(actual, expected, tolerance).fine


def _gap(actual: float, expected: float) -> float:
    """The absolute difference of two numbers; 0 where both are nan, inf where it is no float64 number."""
    if actual == expected or (actual != actual and expected != expected):
        return 0.0
    try:
        return float(abs(actual - expected))
    except OverflowError:
        return INFINITE


def _ratio(error: float, bound: float) -> float:
    """An absolute error in units of its bound; nan counts as infinitely large."""
    if error == 0 or bound == INFINITE:
        return 0.0
    return error / bound if bound > 0 and error == error else INFINITE


def _compare_sequences(actual: Any, expected: Sequence[Any], tolerance: Any, name: str) -> Comparison:
    """Lists and tuples: entry by entry, or as a whole where they hold plain values and differ in length."""
    if not isinstance(actual, (list, tuple)):
        return Comparison(INFINITE, f"{name} is {_kind(actual)}, expected {_kind(expected)}")
    if expected and all(type(entry) is int for entry in expected):
        return _compare_ids(list(actual), list(expected), name)
    if len(actual) != len(expected):
        if any(torch.is_tensor(leaf) for _, leaf in leaves(list(expected))):
            return Comparison(INFINITE, f"{name} has {len(actual)} entries, expected {len(expected)}")
        at = _first_difference(actual, expected)
        both = f"{name} = {_short(actual)}, expected {_short(expected)}"
        return Comparison(INFINITE, f"{both} (they part at entry {at})")
    bounds: Sequence[Any] = [None if isinstance(tolerance, (list, tuple)) else tolerance] * len(expected)
    if isinstance(tolerance, (list, tuple)) and len(tolerance) == len(expected):
        bounds = tolerance
    entries = enumerate(zip(actual, expected, bounds, strict=True))
    parts = [compare(a, e, bound, f"{name}[{i}]") for i, (a, e, bound) in entries]
    return max(parts, key=lambda part: part.ratio, default=Comparison(0.0))


def _compare_dicts(actual: Any, expected: dict[Any, Any], tolerance: Any, name: str) -> Comparison:
    """Dicts: the same keys, and value by value."""
    if not isinstance(actual, dict) or set(actual) != set(expected):
        return Comparison(INFINITE, f"{name} = {_short(actual)}, expected {_short(expected)}")
    bounds = tolerance if isinstance(tolerance, dict) else dict.fromkeys(expected, tolerance)
    parts = [compare(actual[k], expected[k], bounds.get(k), f"{name}.{k}" if name else str(k)) for k in expected]
    return max(parts, key=lambda part: part.ratio, default=Comparison(0.0))


def _first_difference(actual: Sequence[Any], expected: Sequence[Any]) -> int:
    """The first position at which two sequences differ; the length of the shorter one where one continues the other."""
    pairs = enumerate(zip(actual, expected, strict=False))
    return next((i for i, (a, e) in pairs if a != e), min(len(actual), len(expected)))


def _where_texts_part(actual: str, expected: str) -> str:
    at = _first_difference(actual, expected)
    here, there = (f"U+{ord(text[at]):04X}" if at < len(text) else "the end" for text in (actual, expected))
    return f"they part at character {at}: {here}, expected {there}"


def _compare_ids(actual: list[Any], expected: list[int], name: str) -> Comparison:
    """Lists of whole numbers: where they part."""
    strange = next((entry for entry in actual if type(entry) is not int), None)
    if strange is not None:
        return Comparison(INFINITE, f"{name} holds {_kind(strange)}, expected integers")
    if actual == expected:
        return Comparison(0.0)
    at = _first_difference(actual, expected)
    here, there = (values[at] if at < len(values) else "the end" for values in (actual, expected))
    lists = f"{name} = {_short(actual, 60)}, expected {_short(expected, 60)}"
    return Comparison(INFINITE, f"{lists}; they part at position {at}: {here}, expected {there}")


def _compare_tensors(actual: Any, expected: torch.Tensor, tolerance: Any, name: str) -> Comparison:
    if not torch.is_tensor(actual):
        hint = "; is a `return` missing?" if actual is None else ""
        return Comparison(INFINITE, f"{name} is {_kind(actual)}, expected {_kind(expected)}{hint}")
    if actual.shape != expected.shape:
        return Comparison(INFINITE, f"{name} has shape {list(actual.shape)}, expected {list(expected.shape)}")
    alike = (actual.dtype, actual.device) == (expected.dtype, expected.device)
    if not expected.numel() or (alike and torch.equal(actual, expected)):
        return Comparison(0.0)
    a, b = actual.detach().double().cpu(), expected.detach().double().cpu()
    same = (a == b) | (a.isnan() & b.isnan())
    gap = torch.where(same, torch.zeros_like(a), (a - b).abs())
    gap = torch.where(torch.isfinite(gap), gap, torch.full_like(gap, INFINITE))
    tolerance = worked_out(tolerance)
    bound = float(tolerance) if tolerance is not None else 0.0
    if isinstance(tolerance, PartialBound) and tolerance.unknown.shape == gap.shape:
        gap, bound = gap.masked_fill(tolerance.unknown, 0.0), tolerance.limit
    flat = int(gap.argmax())
    worst = float(gap.reshape(-1)[flat])
    ratio = _ratio(worst, bound)
    if ratio <= 1:  # nobody reads where; this is called a hundred thousand times in a run
        return Comparison(ratio)
    index = [int(i) for i in numpy.unravel_index(flat, gap.shape)]  # torch's loads a library for symbols (0.4 s)
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    numbers = _both_numbers(float(a.reshape(-1)[flat]), float(b.reshape(-1)[flat]))
    return Comparison(ratio, f"{place} = {numbers}", _error_map(gap, index, bound))


def _error_map(gap: torch.Tensor, index: list[int], bound: float) -> tuple[tuple[float, ...], ...]:
    """Errors to two digits over the last two axes through the worst element; the first rows and columns of large
    ones."""
    plane = gap[tuple(index[:-2])] if gap.dim() >= 2 else gap.reshape(1, -1)
    ratios = (plane[:MAP_SIZE, :MAP_SIZE] / (bound or 1e-300)).clamp(max=LARGEST)
    return tuple(tuple(float(f"{ratio:.2g}") for ratio in row) for row in ratios.tolist())


def _both_numbers(actual: float, expected: float) -> str:
    """Both numbers with as many digits as it takes to tell them apart, and two more, six at least."""
    differ = next((n for n in range(1, 18) if f"{actual:.{n}g}" != f"{expected:.{n}g}"), 17)
    digits = 6 if differ <= 5 else min(17, differ + 2)
    return f"{actual:.{digits}g}, expected {expected:.{digits}g}"


def _kind(value: Any) -> str:
    if torch.is_tensor(value):
        return f"a tensor {str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__} ({_short(value)})"


def _short(value: Any, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
