"""The model of a run: steps, training and validation loss, learning rate and gradient norm, with where each came
from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.core.curve import Track

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Values of one quantity, by step. Steps grow; a value may be NaN or infinite where the log says so."""

    steps: Array
    values: Array

    def __len__(self) -> int:
        return len(self.values)

    @property
    def finite(self) -> Series:
        """Without what is not finite."""
        there = np.isfinite(self.values)
        return Series(self.steps[there], self.values[there])

    def until(self, step: float) -> Series:
        """The part up to and including a step."""
        there = self.steps <= step
        return Series(self.steps[there], self.values[there])

    def since(self, step: float) -> Series:
        """The part from a step on."""
        there = self.steps >= step
        return Series(self.steps[there], self.values[there])

    def track(self) -> Track:
        """As plain values."""
        return Track(tuple(self.steps.tolist()), tuple(self.values.tolist()))


def empty() -> Series:
    """Nothing logged."""
    return Series(np.empty(0), np.empty(0))


@dataclass(frozen=True)
class RunCurve:
    """One run.

    ``unit``: what steps count: "step", "epoch" or "row". ``columns``: role -> name in the log. ``planned``: steps
    that the run was to have, where known. ``restarts``: steps before which the log says that the run was resumed.
    ``growing``: whether the run may still go on.
    """

    source: str
    file_format: str
    unit: str
    columns: dict[str, str]
    train: Series = field(default_factory=empty)
    valid: Series = field(default_factory=empty)
    rate: Series = field(default_factory=empty)
    norm: Series = field(default_factory=empty)
    planned: float | None = None
    restarts: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    growing: bool = False

    @property
    def last(self) -> float:
        """The last step of a loss."""
        return max((float(one.steps[-1]) for one in (self.train, self.valid) if len(one)), default=0.0)

    @property
    def first(self) -> float:
        """The first step of a loss."""
        return min((float(one.steps[0]) for one in (self.train, self.valid) if len(one)), default=0.0)

    @property
    def steps_are_optimiser_steps(self) -> bool:
        """Whether a step is one update of the weights, as far as the log tells."""
        return self.unit == "step"

    def at(self, step: float) -> str:
        """A place in the run, in words: ``step 240``."""
        return f"{self.unit} {step:g}"
