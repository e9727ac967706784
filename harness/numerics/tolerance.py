"""How large an error rounding explains, case by case.

The reference itself says how sensitive a case is: it is run again with every argument and every intermediate result
moved by one unit of rounding, and in the lower precision. A tolerance is a small multiple of what that changes, so a
zero tensor never passes, and a legal ``rsqrt`` never fails. Constants and their measurements: see each function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.implementation import Answer
from harness.core.tree import Path, leaves, map_leaves
from harness.numerics.bounds import INFINITE, LazyBound, PartialBound
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
"""16 bit: not worse than this many times the reference run in the same dtype, its rounding sampled four times."""
GRADIENT_FLOOR = 1e-10
"""float64 gradients: relative to the root mean square of the reference's gradient."""
ZERO_FLOOR = 64.0
"""Exact zeros of the reference may be this many units of rounding of the largest number in run: a weight gradient
that vanishes exactly in one evaluation order is a few roundings of its terms in another."""
LARGEST, ORDINARY = 1e100, 1e6
"""Up to these numbers nothing overflows on its way in float64, and in float32: its sixth power has a place there."""


def perturbed(case: Case, epsilon: float, seed: int) -> Case:
    """The case with every floating-point argument moved by one ``epsilon`` relative to itself, with random signs."""
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
    """Largest absolute difference of two tensors in float64, positions where both are equal (infinities too) aside.

    0 where either is no tensor, where the shapes differ and where there are no elements; nan where an element is nan in
    one alone.
    """
    gaps = _gaps(one, other)
    return 0.0 if gaps is None else float(gaps.max())


def _gaps(one: Any, other: Any) -> torch.Tensor | None:
    """The absolute differences in float64, 0 where both are equal or nan; None where there are none to take."""
    if not (torch.is_tensor(one) and torch.is_tensor(other)) or one.shape != other.shape or not one.numel():
        return None
    a, b = one.double(), other.double()
    return torch.where((a == b) | (a.isnan() & b.isnan()), torch.zeros_like(a), (a - b).abs())


def tolerances(
    run: Callable[[Case], Answer],
    case: Case,
    dtype: torch.dtype,
    uncached: Callable[[Case], Answer] | None = None,
    perturbations: int = PERTURBATIONS,
) -> tuple[Answer, Answer]:
    """The expected answer in float64, and a tolerance for each of its outputs and gradients.

    ``run`` runs the reference; ``uncached`` does so without looking the answer up (``run`` where none is given).
    ``dtype`` is what the implementation computes in: float64 is judged by the rule of meaning, float32 and 16 bit by
    the reference's own rounding on this very case. Arguments are first rounded to ``dtype``, so both sides start from
    the same numbers. ``perturbations``: how often the reference is moved by a rounding.

    The second answer has the structure of the first: an absolute bound in place of every floating-point tensor, in the
    unit of its values, and None for what is compared exactly. Bounds are LazyBounds: the reference is moved when one of
    them is asked for. Where it overflows in ``dtype`` at some elements, the bound is a PartialBound that says nothing
    of these; where it does at all, it is inf. Raises nothing: where the reference refuses the case, both answers hold
    its crash.
    """
    given = case.cast(dtype)
    exact = run(given.cast(torch.float64))
    if exact.crash is not None:
        return exact, exact
    if not any(is_float(leaf) for _, leaf in leaves([*exact.outputs, exact.gradients])):  # ids and texts do not round
        return exact, Answer((None,) * len(exact.outputs))
    rule = _Rule(run, uncached or run, case, given, exact, dtype, perturbations)

    def of_output(path: Path, leaf: Any) -> LazyBound | None:
        return rule.bound(leaf, lambda answer: _at(answer.outputs, path))

    def of_gradient(name: str, value: Any) -> LazyBound | None:
        return rule.bound(value, lambda answer: answer.gradients.get(name), gradient=True)

    outputs = map_leaves(list(exact.outputs), of_output)
    return exact, Answer(tuple(outputs), {name: of_gradient(name, value) for name, value in exact.gradients.items()})


@dataclass(frozen=True)
class _Rule:
    """How a bound follows from runs of the reference, which are made when the first bound is asked for.

    ``given``: the ``case`` in ``dtype``; ``exact``: the reference's answer to it in float64.
    """

    run: Callable[[Case], Answer]
    uncached: Callable[[Case], Answer]
    case: Case
    given: Case
    exact: Answer
    dtype: torch.dtype
    perturbations: int

    @property
    def is_low(self) -> bool:
        """Whether it is about 16-bit numbers."""
        return self.dtype in (torch.bfloat16, torch.float16)

    @cached_property
    def moved(self) -> Sequence[Answer]:
        """The reference's float64 answers with everything moved by one unit of ``dtype``."""
        seeds, case = range(1, self.perturbations + 1), self.given.cast(torch.float64)
        return [] if self.is_low else [_moved(self.uncached, case, EPSILON[self.dtype], seed) for seed in seeds]

    @cached_property
    def once(self) -> Sequence[tuple[float, Answer]]:
        """The reference's answer in ``dtype``, where it has one, and that its error counts in full."""
        answer = None if self.dtype == torch.float64 else self.run(self.given)
        return [] if answer is None or answer.crash is not None else [(1.0, answer)]

    @cached_property
    def rounded(self) -> Sequence[tuple[float, Answer]]:
        """The reference's answers in ``dtype``, each with the share of its error that counts."""
        if not self.is_low:
            return self.once
        # What one small case happens to lose says little; moved by whole units, twice what rounding does at most.
        seeds = range(1, self.perturbations + 1)
        more = [(0.5, _moved(self.uncached, self.given, None, seed)) for seed in seeds]
        return [*self.once, *((share, answer) for share, answer in more if answer.crash is None)]

    @cached_property
    def biggest_input(self) -> float:
        """The largest number among the arguments."""
        return magnitude([dict(call.arguments) for call in self.case.calls])

    @cached_property
    def biggest_gradient(self) -> float:
        """The largest number among the exact gradients."""
        return magnitude(self.exact.gradients)

    def bound(self, reference: Any, part: Callable[[Answer], Any], gradient: bool = False) -> LazyBound | None:
        """The bound of one tensor (None: it is none, or not of floating point). ``part`` finds it in an answer."""
        if not is_float(reference):
            return None
        return LazyBound(lambda: self._least(reference, part, gradient), lambda: self._bound(reference, part, gradient))

    def _least(self, reference: torch.Tensor, part: Callable[[Answer], Any], gradient: bool) -> float:
        """What the bound is at least, without moving the reference; 0 where it might overflow at some elements."""
        size = magnitude(reference)
        most = {torch.float64: LARGEST, torch.float32: ORDINARY}.get(self.dtype, torch.finfo(self.dtype).max / 8)
        if not bool(torch.isfinite(reference).all()) or max(size, 0.0 if self.is_low else self.biggest_input) > most:
            return 0.0
        lost = _shared_gaps(reference, [(share, part(own)) for share, own in self.once]) if self.is_low else []
        if not all(bool(torch.isfinite(gaps).all()) for gaps in lost):
            return 0.0
        return self._of_errors(reference, 0.0, max((float(g.max()) for g in lost), default=0.0), gradient)

    def _bound(self, reference: torch.Tensor, part: Callable[[Answer], Any], gradient: bool) -> float:
        """The bound itself."""
        moved = _shared_gaps(reference, [(1.0, part(other)) for other in self.moved])
        rounded = _shared_gaps(reference, [(share, part(own)) for share, own in self.rounded])
        known = torch.ones(reference.shape, dtype=torch.bool)
        for gaps in (*moved, *rounded):
            known &= torch.isfinite(gaps)
        bound = self._of_elements(known, reference, moved, rounded, gradient)
        if self.dtype != torch.float64:  # a number that the bound allows may be one that the dtype has no place for
            beyond = torch.isfinite(reference) & (reference.double().abs() + bound > torch.finfo(self.dtype).max)
            if bool(beyond.any()):
                known &= ~beyond
                bound = self._of_elements(known, reference, moved, rounded, gradient)
        if bool(known.all()):
            return bound
        return PartialBound(bound, ~known) if bool(known.any()) else INFINITE

    def _of_elements(
        self,
        known: torch.Tensor,
        reference: torch.Tensor,
        moved: Sequence[torch.Tensor],
        rounded: Sequence[torch.Tensor],
        gradient: bool,
    ) -> float:
        """The bound that the known elements give: a bool mask of a tensor, and errors of runs of the reference
        there."""
        moved_by, lost = (
            max((float(g[known].max()) for g in gaps if bool(known.any())), default=0.0) for gaps in (moved, rounded)
        )
        return self._of_errors(reference[known], moved_by, lost, gradient)

    def _of_errors(self, reference: torch.Tensor, moved_by: float, lost: float, gradient: bool) -> float:
        """The bound for these elements, where moving the reference changes them by so much, and ``dtype`` loses so
        much. It grows with both."""
        size, epsilon = magnitude(reference), EPSILON[self.dtype]
        # The largest number whose rounding may be left over where the reference is exactly zero.
        scale = max(self.biggest_gradient if gradient else self.biggest_input, size)
        floor = ZERO_FLOOR * EPSILON[torch.float64] * scale
        if gradient:  # cotangents are of size 1: a slope of a thousandth of a rounding is none, however it came about
            floor = max(floor, 1e-3 * epsilon)
        if self.dtype == torch.float64:
            finite = reference[torch.isfinite(reference)].double()
            rms = float(finite.pow(2).mean().sqrt()) if finite.numel() else 0.0
            least = GRADIENT_FLOOR * rms if gradient else MEANING_FLOOR * size
            return max(least, MEANING_FACTOR * (moved_by + 2 * epsilon * size), floor)
        if self.is_low:
            return max(HALF_FACTOR * lost, 2 * epsilon * size, epsilon * 1e-3 * scale)
        rounding = ROUNDING_FACTOR * (max(lost, moved_by) + 2 * epsilon * size)
        return max(rounding, floor, ZERO_FLOOR * epsilon * 1e-3 * scale)


def _shared_gaps(reference: torch.Tensor, runs: Sequence[tuple[float, Any]]) -> list[torch.Tensor]:
    """Each run's errors, times the share of them that counts."""
    gaps = ((share, _gaps(reference, answer)) for share, answer in runs)
    return [share * each for share, each in gaps if each is not None]


def _moved(run: Callable[[Case], Answer], case: Case, epsilon: float | None, seed: int) -> Answer:
    """The reference's answer with every argument and every intermediate result moved by one ``epsilon``.

    Without one: every intermediate result alone, by a unit of the dtype it is in.
    """
    start = case if epsilon is None else perturbed(case, epsilon, seed)
    with Jitter(epsilon, seed + PERTURBATIONS):  # other signs than the arguments'
        return run(start)


def _at(value: Any, path: Path) -> Any:
    try:
        for step in path:
            value = value[step]
        return value
    except (IndexError, KeyError, TypeError):
        return None
