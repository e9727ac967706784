"""How large an error rounding explains, case by case.

The reference itself says how sensitive a case is: it is run again with every argument and every intermediate result
moved by one unit of rounding, and in the lower precision. A tolerance is a small multiple of what that changes, so a zero
tensor never passes, and a legal ``rsqrt`` never fails. Constants and their measurements: see each function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from harness.core.case import Case, is_float
from harness.core.implementation import Answer
from harness.core.tree import Path, dotted, leaves, map_leaves
from harness.numerics.perturbation import Jitter

EPSILON = {
    torch.float64: torch.finfo(torch.float64).eps,
    torch.float32: torch.finfo(torch.float32).eps,
    torch.bfloat16: torch.finfo(torch.bfloat16).eps,
    torch.float16: torch.finfo(torch.float16).eps,
}
PERTURBATIONS = 3
"""Runs with everything moved by one rounding. Three; more narrowed the worst ratio of correct code by under 10 %."""

MEANING_FACTOR = 8.0
"""float64: worst correct error measured 0.36 of 4 x (E2 + 2 eps max|y|) over six families of 300 seeds; doubled."""
MEANING_FLOOR = 1e-12
"""float64: relative to max|y|. The smallest semantic mistake tried is 1e8 times larger than rounding."""
ROUNDING_FACTOR = 4.0
"""float32: worst correct error measured 0.35 of it over 12 families and 5 correct layer norms."""
HALF_FACTOR = 4.0
"""16 bit: not worse than this many times the reference run in the same dtype, its roundings drawn four times."""
GRADIENT_FLOOR = 1e-10
"""float64 gradients: relative to the root mean square of the reference's gradient."""
ZERO_FLOOR = 64.0
"""Exact zeros of the reference may be this many units of rounding of the largest number in run: a weight gradient
that vanishes exactly in one evaluation order is a few roundings of its terms in another."""


def perturbed(case: Case, epsilon: float, seed: int) -> Case:
    """Every floating-point argument moved by one ``epsilon`` relative to itself, with random signs."""
    mover = Jitter(epsilon, seed)

    def move(_: Path, leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        moved = leaf.detach().clone(memory_format=torch.contiguous_format)
        mover.move(moved)
        return moved

    return case.mapped(move)


def magnitude(value: Any) -> float:
    """Largest finite absolute value among the floating-point tensors of a tree (0 where there is none)."""
    largest = 0.0
    for _, leaf in leaves(value):
        if is_float(leaf) and leaf.numel():
            finite = leaf[torch.isfinite(leaf)]
            if finite.numel():
                largest = max(largest, float(finite.abs().max()))
    return largest


def difference(one: Any, other: Any) -> float:
    """Largest absolute difference of two tensors in float64, positions where both are equal (infinities too) aside."""
    if not (torch.is_tensor(one) and torch.is_tensor(other)) or one.shape != other.shape or not one.numel():
        return 0.0
    a, b = one.double(), other.double()
    gap = torch.where((a == b) | (a.isnan() & b.isnan()), torch.zeros_like(a), (a - b).abs())
    return float(gap.max())


def tolerances(
    run: Callable[[Case], Answer],
    case: Case,
    dtype: torch.dtype,
    anew: Callable[[Case], Answer] | None = None,
    perturbations: int = PERTURBATIONS,
) -> tuple[Answer, Answer]:
    """The expected answer in float64, and the tolerance for each of its outputs and gradients.

    ``run`` runs the reference; ``anew`` does so without answering from memory (``run`` where none is given).
    ``dtype`` is what the implementation computes in: float64 is judged by the rule of meaning,
    float32 and 16 bit by the reference's own rounding on this very case. Arguments are first rounded to ``dtype``, so
    both sides start from the same numbers. ``perturbations``: how often the reference is moved by a rounding.
    """
    given = case.cast(dtype)
    exact_case = given.cast(torch.float64)
    exact = run(exact_case)
    if exact.crash is not None:
        return exact, exact
    if not any(is_float(leaf) for _, leaf in leaves([*exact.outputs, exact.gradients])):  # ids and texts do not round
        return exact, Answer((None,) * len(exact.outputs))
    epsilon = EPSILON[dtype]
    low = dtype in (torch.bfloat16, torch.float16)
    moved = [] if low else [_moved(anew or run, exact_case, epsilon, seed) for seed in range(1, perturbations + 1)]
    rounded = [] if dtype == torch.float64 else [(1.0, run(given))]
    if low:  # what one small case happens to lose says little; moved by whole units, twice what rounding does at most
        rounded += [(0.5, _moved(anew or run, given, None, seed)) for seed in range(1, perturbations + 1)]
    rounded = [(share, answer) for share, answer in rounded if answer.crash is None]
    biggest_input = magnitude([dict(call.arguments) for call in case.calls])
    biggest_gradient = magnitude(exact.gradients)

    def bound(reference: Any, part: Callable[[Answer], Any], scale: float, gradient: bool) -> Any:
        if not is_float(reference):
            return None
        size = magnitude(reference)
        moved_by = max((difference(reference, part(other)) for other in moved), default=0.0)
        floor = ZERO_FLOOR * EPSILON[torch.float64] * scale
        if gradient:  # cotangents are of size 1: a slope of a thousandth of a rounding is none, however it came about
            floor = max(floor, 1e-3 * epsilon)
        if dtype == torch.float64:
            rms = float(reference.double().pow(2).mean().sqrt()) if reference.numel() else 0.0
            least = GRADIENT_FLOOR * rms if gradient and rms == rms else MEANING_FLOOR * size
            return max(least, MEANING_FACTOR * (moved_by + 2 * epsilon * size), floor)
        error = max((share * difference(reference, part(own)) for share, own in rounded), default=0.0)
        if low:
            return max(HALF_FACTOR * error, 2 * epsilon * size, epsilon * 1e-3 * scale)
        return max(
            ROUNDING_FACTOR * (max(error, moved_by) + 2 * epsilon * size), floor, ZERO_FLOOR * epsilon * 1e-3 * scale
        )

    outputs = map_leaves(
        list(exact.outputs),
        lambda path, leaf: bound(
            leaf, lambda answer: _at(answer.outputs, path), max(biggest_input, magnitude(leaf)), False
        ),
    )

    def gradient_of(name: str) -> Callable[[Answer], Any]:
        return lambda answer: answer.gradients.get(name)

    gradients = {n: bound(value, gradient_of(n), biggest_gradient, True) for n, value in exact.gradients.items()}
    return exact, Answer(tuple(outputs), gradients)


def _moved(run: Callable[[Case], Answer], case: Case, epsilon: float | None, seed: int) -> Answer:
    """The reference's answer with every argument and every intermediate result moved by one ``epsilon``.

    Without one: every intermediate result alone, by a unit of the dtype it is in.
    """
    start = case if epsilon is None else perturbed(case, epsilon, seed)
    with Jitter(epsilon, seed + PERTURBATIONS):  # other signs than the arguments'
        return run(start)


HEAT, HOTTEST = 24, 1e30
"""Rows and columns of errors that are kept to be shown, and the largest that is told apart."""


@dataclass(frozen=True)
class Comparison:
    """Largest excess of one value over another in units of the tolerance, and where it is.

    ``error_map``: where it exceeds, the excess of every element around the worst one, over the last two axes of a tensor.
    """

    ratio: float
    where: str = ""
    error_map: tuple[tuple[float, ...], ...] = ()

    @property
    def fine(self) -> bool:
        return self.ratio <= 1.0


def compare(actual: Any, expected: Any, tolerance: Any, name: str = "out") -> Comparison:
    """Compare two trees leaf by leaf. Floating-point tensors within their tolerance, everything else exactly.

    A difference in kind, in shape or in finiteness counts as infinitely far, and says so.
    """
    if isinstance(expected, (list, tuple)) and not torch.is_tensor(expected):
        if not isinstance(actual, (list, tuple)):
            return Comparison(float("inf"), f"{name} is {_kind(actual)}, expected {_kind(expected)}")
        if expected and all(type(entry) is int for entry in expected):
            return _compare_ids(list(actual), list(expected), name)
        if any(torch.is_tensor(leaf) for _, leaf in leaves(list(expected))) or len(actual) == len(expected):
            if len(actual) != len(expected):
                return Comparison(float("inf"), f"{name} has {len(actual)} entries, expected {len(expected)}")
            fits = isinstance(tolerance, (list, tuple)) and len(tolerance) == len(expected)
            bounds = (
                tolerance if fits else [None if isinstance(tolerance, (list, tuple)) else tolerance] * len(expected)
            )
            parts = [
                compare(a, e, t, f"{name}[{i}]")
                for i, (a, e, t) in enumerate(zip(actual, expected, bounds, strict=True))
            ]
            return max(parts, key=lambda c: c.ratio, default=Comparison(0.0))
        at = next(
            (i for i, (a, e) in enumerate(zip(actual, expected, strict=False)) if a != e),
            min(len(actual), len(expected)),
        )
        return Comparison(
            float("inf"), f"{name} = {_short(actual)}, expected {_short(expected)} (they part at entry {at})"
        )
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or set(actual) != set(expected):
            return Comparison(float("inf"), f"{name} = {_short(actual)}, expected {_short(expected)}")
        bounds = tolerance if isinstance(tolerance, dict) else dict.fromkeys(expected, tolerance)
        parts = [compare(actual[k], expected[k], bounds.get(k), f"{name}.{k}" if name else str(k)) for k in expected]
        return max(parts, key=lambda c: c.ratio, default=Comparison(0.0))
    if torch.is_tensor(expected):
        return _compare_tensors(actual, expected, tolerance, name)
    if type(actual) in (int, float) and type(expected) in (int, float) and tolerance is not None:
        gap = abs(actual - expected)
        return Comparison(
            gap / tolerance if tolerance else (0.0 if gap == 0 else float("inf")),
            f"{name} = {actual}, expected {expected}",
        )
    if type(actual) is not type(expected) and not (isinstance(actual, type(expected))):
        return Comparison(float("inf"), f"{name} is {_kind(actual)}, expected {_kind(expected)}")
    if isinstance(expected, numpy.ndarray):
        return _compare_tensors(torch.as_tensor(actual), torch.as_tensor(expected), tolerance, name)
    if hasattr(expected, "__dict__"):  # an object of theirs: what it holds shows in what is made of it
        return Comparison(0.0)
    if actual != expected:
        where = (
            f"; {_where_texts_part(actual, expected)}" if isinstance(actual, str) and isinstance(expected, str) else ""
        )
        return Comparison(float("inf"), f"{name} = {_short(actual)}, expected {_short(expected)}{where}")
    return Comparison(0.0)


def _where_texts_part(actual: str, expected: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(actual, expected, strict=False)) if a != b), min(len(actual), len(expected))
    )
    mine, theirs = (f"U+{ord(text[at]):04X}" if at < len(text) else "the end" for text in (actual, expected))
    return f"they part at character {at}: {mine}, expected {theirs}"


def _compare_ids(actual: list[Any], expected: list[int], name: str) -> Comparison:
    """Lists of whole numbers: where they part."""
    strange = next((entry for entry in actual if type(entry) is not int), None)
    if strange is not None:
        return Comparison(float("inf"), f"{name} holds {_kind(strange)}, expected integers")
    if actual == expected:
        return Comparison(0.0)
    at = next(
        (i for i, (a, b) in enumerate(zip(actual, expected, strict=False)) if a != b), min(len(actual), len(expected))
    )
    mine, theirs = (values[at] if at < len(values) else "the end" for values in (actual, expected))
    lists = f"{name} = {_short(actual, 60)}, expected {_short(expected, 60)}"
    return Comparison(float("inf"), f"{lists}; they part at position {at}: {mine}, expected {theirs}")


def _compare_tensors(actual: Any, expected: torch.Tensor, tolerance: Any, name: str) -> Comparison:
    if not torch.is_tensor(actual):
        hint = "; is a `return` missing?" if actual is None else ""
        return Comparison(float("inf"), f"{name} is {_kind(actual)}, expected {_kind(expected)}{hint}")
    if actual.shape != expected.shape:
        return Comparison(float("inf"), f"{name} has shape {list(actual.shape)}, expected {list(expected.shape)}")
    alike = (actual.dtype, actual.device) == (expected.dtype, expected.device)
    if not expected.numel() or (alike and torch.equal(actual, expected)):
        return Comparison(0.0)
    a, b = actual.detach().double().cpu(), expected.detach().double().cpu()
    same = (a == b) | (a.isnan() & b.isnan())
    gap = torch.where(same, torch.zeros_like(a), (a - b).abs())
    gap = torch.where(torch.isfinite(gap), gap, torch.full_like(gap, float("inf")))
    flat = int(gap.argmax())
    worst = float(gap.reshape(-1)[flat])
    bound = float(tolerance) if tolerance is not None else 0.0
    ratio = 0.0 if worst == 0 else (worst / bound if bound > 0 else float("inf"))
    if ratio <= 1:  # nobody reads where; this is called a hundred thousand times in a run
        return Comparison(ratio)
    index = [int(i) for i in torch.unravel_index(torch.tensor(flat), gap.shape)]
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    apart = _apart(float(a.reshape(-1)[flat]), float(b.reshape(-1)[flat]))
    return Comparison(ratio, f"{place} = {apart}", _heat(gap, index, bound))


def _heat(gap: torch.Tensor, index: list[int], bound: float) -> tuple[tuple[float, ...], ...]:
    """Two digits of the excess over the last two axes through the worst element; the first rows and columns of large ones."""
    plane = gap[tuple(index[:-2])] if gap.dim() >= 2 else gap.reshape(1, -1)
    ratios = (plane[:HEAT, :HEAT] / (bound or 1e-300)).clamp(max=HOTTEST)
    return tuple(tuple(float(f"{ratio:.2g}") for ratio in row) for row in ratios.tolist())


def is_rounding_noise(errors: Callable[[Case], Any], case: Case, seed: int = 11) -> bool:
    """Whether an error is rounding rather than meaning: it does not survive a move of the inputs by a few float32 units.

    A mistake's error is a smooth function of the inputs and hardly changes (relative 1e-4 at most); rounding inside a
    float32 computation is drawn anew (relative change about 1). Used to tell code that upcasts or downcasts to float32
    inside on purpose from code that computes something else. The moves are of 20 to 60 units at random: after a whole
    number of units, small integers would round as they did before.
    """
    here = errors(case)
    if not torch.is_tensor(here) or not bool(torch.isfinite(here).all()):
        return False
    size = float(here.norm())
    if size == 0:
        return False
    for attempt in range(2):
        there = errors(_nearby(case, 40 * EPSILON[torch.float32], seed + attempt))
        if not torch.is_tensor(there) or there.shape != here.shape:
            return False
        if float((there - here).norm()) < 0.1 * max(size, float(there.norm())):
            return False
    return True


def _nearby(case: Case, epsilon: float, seed: int) -> Case:
    """Every floating-point argument moved by about ``epsilon`` relative to itself, no two by the same amount."""
    generator = torch.Generator().manual_seed(seed)

    def move(_: Path, leaf: Any) -> Any:
        if not is_float(leaf):
            return leaf
        return leaf * (
            1 + epsilon * (0.5 + torch.rand(leaf.shape, generator=generator, dtype=torch.float64)).to(leaf.dtype)
        )

    return case.mapped(move)


def _at(value: Any, path: Path) -> Any:
    try:
        for step in path:
            value = value[step]
        return value
    except (IndexError, KeyError, TypeError):
        return None


def _apart(actual: float, expected: float) -> str:
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


__all__ = [
    "EPSILON",
    "Comparison",
    "compare",
    "difference",
    "dotted",
    "is_rounding_noise",
    "magnitude",
    "perturbed",
    "tolerances",
]
