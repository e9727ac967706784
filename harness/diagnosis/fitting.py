"""The number at one place of the reference that gives the implementation's answers, found by least squares.

A fit is no finding: whether the reference with that number in it explains every answer is for the caller to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from harness.core.case import is_float
from harness.core.implementation import Answer, Implementation
from harness.core.mistake import Edit, fits
from harness.core.tree import leaves
from harness.diagnosis.matching import Observation
from harness.diagnosis.sites import Curve, Site

ENOUGH_NUMBERS, MOST_CASES, LEAST_NUMBERS = 12, 4, 3
"""A sample has so many numbers, or so many cases. What fits it is tried on all answers; one free number meets three
numbers by chance as good as never."""
ROUNDS = 12
STEP = 1e-5
"""A slope is taken over this share of a number: its error then is far below what a round of the search removes."""
MET = 1e-6
"""What is left of the error where a number fits, as a share of it. Only then are short numbers tried."""
MOST_LEFT = {1: 0.9, 2: 0.7, 4: 0.3, 7: 0.05}
"""After so many steps, the share of the error that is left at most: a search that does not come nearer is given up."""
DIGITS = (1, 2, 3, 4, 6, 8)
NUMBER: list[float] = [0.0]
"""The number that is tried: an edit that reads it here is compiled once, not once for each number."""
HERE = f'__import__("{__name__}", fromlist=["NUMBER"]).NUMBER[0]'


@dataclass
class Sample:
    """A few wrong answers, and what was answered to them in one vector each. ``gradients``: whether it is these."""

    gradients: bool = False
    observations: list[Observation] = field(default_factory=list)
    actual: list[torch.Tensor] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(vector.numel() for vector in self.actual)


def sample_of(wrong: Sequence[Observation]) -> Sample | None:
    """The cheapest wrong answers that are numbers, of the forward pass, or gradients where only these are wrong.

    None where they are too few to fit anything.
    """
    gradients = all(o.request.gradients is not None for o in wrong)
    sample = Sample(gradients)
    for o in wrong:
        if (
            (o.request.gradients is not None) is not gradients
            or o.answer.crash is not None
            or o.reference.crash is not None
        ):
            continue
        vector = _vector(o.answer, gradients)
        if vector is None or not vector.numel():
            continue
        sample.observations.append(o)
        sample.actual.append(vector)
        if sample.size >= ENOUGH_NUMBERS or len(sample.actual) >= MOST_CASES:
            return sample
    return sample if sample.size >= LEAST_NUMBERS else None


def _vector(answer: Answer, gradients: bool) -> torch.Tensor | None:
    """Every floating-point number of an answer, or of its gradients."""
    if answer.crash is not None:
        return None
    if gradients:
        values = [v for v in answer.gradients.values() if is_float(v)]
        return torch.cat([v.detach().double().flatten() for v in values]) if values else None
    parts = [v.detach().double().flatten() for _, v in leaves(list(answer.outputs)) if is_float(v)]
    parts += [torch.tensor([v], dtype=torch.float64) for _, v in leaves(list(answer.outputs)) if type(v) is float]
    return torch.cat(parts) if parts else None


class Fitter:
    """Fits the number at a site to a sample. ``made``: the reference with edits in force."""

    def __init__(
        self,
        sample: Sample,
        made: Callable[[tuple[Edit, ...]], Implementation],
        starts: Sequence[float],
        deadline: float,
    ) -> None:
        self.sample, self.made, self.starts, self.deadline = sample, made, starts, deadline

    def numbers(self, site: Site, always: tuple[Edit, ...] = ()) -> Iterator[float]:
        """Numbers that give the sample's answers, the shortest first; none where none does.

        ``always``: edits that are in force beside those that ``made`` is given.
        """
        edits = site.at(None, HERE).edits
        if not _can_be_made((*always, *edits)):
            return
        reference = self.made(edits)
        for start in self._starts(site):
            if time.thread_time() > self.deadline:
                return
            found = self._search(reference, site, start)
            if found is not None:
                yield from self._short_ones(reference, site, found)
                return

    def _starts(self, site: Site) -> list[float]:
        """Where a search begins."""
        if (site.curve is Curve.SLOPE) is not self.sample.gradients:
            return []
        if site.curve in (Curve.FACTOR, Curve.SLOPE):
            return [1.0]
        if site.curve is Curve.TERM:
            return [0.0]
        own = [n for n in self.starts for n in ((n, -n) if site.start is None or not site.start > 0 else (n,))]
        if site.whole:
            return [n for n in own if n == int(n)]
        at = [site.start] if site.start is not None and math.isfinite(site.start) else [1.0]
        return [*at, *own]

    def _search(self, reference: Implementation, site: Site, start: float) -> float | None:
        """The number at which nothing is left of the error, by Gauss and Newton's steps from a start."""
        number, error = start, self._error(reference, start)
        if error is None:
            return None
        size = max(self._scale, float(error.norm()))
        if not size:
            return None
        for done in range(1 if site.whole else ROUNDS):
            left = float(error.norm()) / size
            if left <= MET:
                return self._polished(reference, site, number, error)
            if site.whole or left > MOST_LEFT.get(done, 1.0):
                return None
            moved = self._moved(reference, number, error)
            if moved is None:
                return None
            number, error = moved
        return number if float(error.norm()) <= MET * size else None

    def _polished(self, reference: Implementation, site: Site, number: float, error: torch.Tensor) -> float:
        """The same number to the last digits."""
        for _ in range(0 if site.whole else 2):
            moved = self._moved(reference, number, error)
            if moved is None:
                break
            number, error = moved
        return number

    def _moved(
        self, reference: Implementation, number: float, error: torch.Tensor
    ) -> tuple[float, torch.Tensor] | None:
        """One step, halved until it is one downwards."""
        step = STEP * (abs(number) or 1.0)
        beside = self._error(reference, number + step)
        if beside is None:
            return None
        slope = (beside - error) / step
        power = float(slope @ slope)
        if not power > 0 or not math.isfinite(power):
            return None
        move = -float(slope @ error) / power
        for _ in range(4):
            there = self._error(reference, number + move)
            if there is not None and float(there.norm()) < float(error.norm()):
                return number + move, there
            move /= 3
        return None

    def _short_ones(self, reference: Implementation, site: Site, found: float) -> Iterator[float]:
        """The number rounded to few digits, and as it is."""
        least = self._error(reference, found)
        near = 10 * float(least.norm()) + 1e-9 * self._scale if least is not None else 0.0
        for short in dict.fromkeys(float(f"{found:.{digits}g}") for digits in DIGITS):
            error = self._error(reference, short)
            if error is not None and float(error.norm()) <= near:
                yield short
                return
        yield found

    @property
    def _scale(self) -> float:
        """How large the error is without any edit."""
        off = [
            actual - right
            for o, actual in zip(self.sample.observations, self.sample.actual, strict=True)
            if (right := _vector(o.reference, self.sample.gradients)) is not None and right.shape == actual.shape
        ]
        gap = torch.cat(off) if off else torch.zeros(0, dtype=torch.float64)
        return float(gap[torch.isfinite(gap)].norm())

    def _error(self, reference: Implementation, number: float) -> torch.Tensor | None:
        """What the reference with this number in it gives, less what was answered; None where that is no vector."""
        NUMBER[0], errors = number, []
        for o, actual in zip(self.sample.observations, self.sample.actual, strict=True):
            predicted = _vector(reference.run(o.request), self.sample.gradients)
            if predicted is None or predicted.shape != actual.shape:
                return None
            same = (predicted == actual) | (predicted.isnan() & actual.isnan())
            errors.append(torch.where(same, torch.zeros_like(actual), predicted - actual))
        error = torch.cat(errors)
        return error if bool(torch.isfinite(error).all()) else None


def _can_be_made(edits: tuple[Edit, ...]) -> bool:
    """Whether the lines stand there once, and are Python with a call in the number's place."""
    try:
        return fits(edits)
    except SyntaxError:
        return False
