"""Runs of a quantization schedule, and the bit widths of their steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case, harness_step
from harness.core.claim import Trial, Violation
from harness.core.values import Earlier

USUAL: dict[str, Any] = {"boundaries": (0.4,), "bits": (16, 8)}
CONFIGURED: tuple[dict[str, Any], ...] = (
    {"boundaries": (0.25, 0.5), "bits": (16, 8, 4)},
    {"boundaries": (0.5,), "bits": (32, 8)},
    {"boundaries": (0.125, 0.5, 0.75), "bits": (32, 16, 8, 4)},
    {"boundaries": (0.25,), "bits": (16, 4)},
    {"boundaries": (0.375, 0.625), "bits": (32, 16, 2)},
)
"""Shares that a float holds exactly: no rounding decides on which side of a boundary a step is."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """40 % falls on a step or between two of them; a quarter of the cases configure levels of their own."""
    if draw(st.integers(0, 3)) == 0:
        return draw(configured())
    total = draw(st.sampled_from((10, 20, 5, 11, 25, 7, 13, 30, 1, 3)))
    return run(draw(st.integers(0, total + 2)), total)


@st.composite
def on_a_step(draw: st.DrawFn) -> Case:
    """40 % of the run is a whole number of steps."""
    total = draw(st.sampled_from((10, 20, 5, 25, 30, 40)))
    return run(draw(st.integers(0, total)), total)


@st.composite
def configured(draw: st.DrawFn) -> Case:
    """One to three boundaries and widths of their own, all on steps."""
    total = draw(st.sampled_from((8, 16, 24, 32)))
    return run(draw(st.integers(0, total)), total, **draw(st.sampled_from(CONFIGURED)))


@st.composite
def runs_of_no_steps(draw: st.DrawFn) -> Case:
    """Nothing is trained: step 0 of 0, or a later one."""
    return run(draw(st.sampled_from((0, 0, 1, 5))), 0)


def run(step: int, total_steps: int, **levels: Any) -> Case:
    family = f"step {step} of {total_steps}" + (f", {levels['bits']} at {levels['boundaries']}" if levels else "")
    return Case.of({"step": step, "total_steps": total_steps, **levels}, family=family)


class Widths:
    """The widths of every step of the case's run, called in order, and of some after its end.

    ``first``: the number of the first step, 1 where that is declared. ``places``: for each boundary the earliest and
    the latest step that may begin the next width; they are the same where the boundary falls on a step.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, given = trial, {**USUAL, **trial.case.arguments}
        self.total: int = given["total_steps"]
        self.bits = tuple(given["bits"])
        self.first = 1 if trial.has_form("steps_from_one") else 0
        ends = [Fraction(str(share)) * self.total for share in given["boundaries"]]
        self.places = [(math.floor(end) + self.first, math.ceil(end) + self.first) for end in ends]
        self.steps = range(self.first, self.total + self.first)
        end = self.total + self.first
        self.after = (end, end + 1, end + (3 * self.total) // 4, 2 * self.total + 1, 10 * self.total)
        asked = dict.fromkeys((*self.steps, *self.after))
        self.found: dict[int, int] = dict(zip(asked, widths_of(trial, trial.case, asked), strict=True))

    def at(self, step: int) -> int:
        return self.found[step]

    def allowed(self, step: int) -> set[int]:
        """One width, or the two beside a boundary that falls between two steps."""
        fewest = sum(step >= latest for _, latest in self.places)
        most = sum(step >= earliest for earliest, _ in self.places)
        return {self.bits[level] for level in range(fewest, most + 1)}

    def expect(self, step: int, what: str) -> None:
        found, wanted = self.at(step), self.allowed(step)
        if found not in wanted:
            right = " or ".join(str(bits) for bits in sorted(wanted, reverse=True))
            raise Violation(f"{what} has {found} bits; it must have {right}", worst=f"step {step} of {self.total}")


def widths_of(trial: Trial, case: Case, steps: Iterable[int], **options: Any) -> list[int]:
    """The widths of these steps of the case's run, one call after the other."""
    calls = tuple(case.changed(step=step).calls[-1] for step in steps)
    answered = [Earlier("call", back=back) for back in reversed(range(len(calls)))]
    together = harness_step("specs.shared.quantization_schedule_cases:in_order", widths=answered)
    return [as_width(value) for value in trial.run(replace(case, calls=(*calls, together)), **options).value]


def in_order(widths: list[Any]) -> list[Any]:
    """Runs in the script itself: the widths of a whole run side by side, by which mistakes are distinguished."""
    return widths


def as_width(value: Any) -> int:
    if not torch.is_tensor(value) or value.shape != () or float(value) != int(value):
        found = f"{float(value):g}" if torch.is_tensor(value) and value.shape == () else f"a {type(value).__name__}"
        raise Violation(f"it returns {found}; the bit width of a step must be one integer")
    return int(value)
