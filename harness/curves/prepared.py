"""What every kind of episode is measured on: the finite part of a run, its smooth level, its noise, and its jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.curves.robust import level, local_spread, odd, running_median, spread
from harness.curves.run_curve import Array, RunCurve, Series

FEWEST = 8
"""Values without which nothing is said of a series."""
WIDTHS = (3, 6, 12, 24)
"""How many values on both sides of a jump are compared."""
NEAR = 12
"""Values after a jump in which its peak lies."""
RATE_JUMPS = 3.0
"""A learning rate that rises so many times within RATE_WITHIN values is cause enough for a rise of the loss."""
RATE_WITHIN = 15
CALM = 9
"""Width of the running median by which the level is back."""
BACK = 0.25
"""Share of a rise (at most up to the first loss) that may be left where the level is back."""


@dataclass(frozen=True)
class Jump:
    """A place where the level rises from one value to the next.

    ``index``: the first raised value. ``size``: the rise of the level in standard deviations. ``before``: the level
    before. ``peak``: the most that the level (a median of three) rises above it. ``back``: index at which the level is
    back, or None.
    """

    index: int
    size: float
    before: float
    peak: float
    back: int | None


@dataclass(frozen=True)
class Prepared:
    """One run, ready to be measured. ``main`` is the training loss, or the validation loss where there is no other,
    up to the first value that is not finite."""

    run: RunCurve
    main: Series
    valid: Series
    broken_at: float | None
    """The first step at which a loss is NaN or infinite."""

    @cached_property
    def held_out(self) -> Prepared:
        """The validation loss in the place of the training loss: fewer values, and less noise."""
        return replace(self, main=self.valid)

    @property
    def steps(self) -> Array:
        return self.main.steps

    @property
    def values(self) -> Array:
        return self.main.values

    @property
    def count(self) -> int:
        return len(self.main)

    @cached_property
    def smooth(self) -> Array:
        """The level: a running median."""
        return running_median(self.values, odd(self.count / 25, 5 if self.count >= 40 else 3, 41))

    @cached_property
    def sigma(self) -> float:
        """Standard deviation of the noise of one value."""
        return spread(self.values)

    @cached_property
    def local(self) -> Array:
        """The same around each value; never 0."""
        return np.maximum(local_spread(self.values, odd(self.count / 10, 7, 61)), 1e-9 * (1 + abs(self.first)))

    @cached_property
    def first(self) -> float:
        """The level at the beginning: the first value, or the median of three where that is lower."""
        return min(float(self.values[0]), level(self.values[: max(1, min(3, self.count // 20))]))

    @cached_property
    def end(self) -> float:
        """The level of the last twelfth."""
        return level(self.values[-max(3, self.count // 12) :])

    @cached_property
    def best(self) -> float:
        """The least level."""
        return float(self.smooth.min())

    @property
    def doubt(self) -> float:
        """Two standard errors of the level of the last twelfth."""
        return 2 * 1.25 * self.sigma / math.sqrt(max(3, self.count // 12))

    @property
    def span(self) -> float:
        """How far the level fell, in the unit of the loss; at least a twentieth of the first."""
        return max(self.first - self.best, 0.05 * abs(self.first), 1e-12)

    def between(self, start: float, stop: float) -> float:
        """The level in a part of the run, given by shares of its values."""
        low = int(start * self.count)
        return level(self.values[low : max(low + 1, int(stop * self.count) + 1)])

    @property
    def quiet(self) -> int:
        """Values at the beginning in which the loss falls so fast that nothing is said of its noise."""
        return max(3, self.count // 20)

    @cached_property
    def edges(self) -> Array:
        """For each value, how far the mean of what follows lies above the mean of what comes before, in standard
        deviations; the most over several widths. [n]"""
        found = np.zeros(self.count)
        sums = np.concatenate([[0.0], np.cumsum(np.minimum(self.values, 1e12))])
        for width in WIDTHS:
            if self.count < 3 * width:
                continue
            mean = (sums[width:] - sums[:-width]) / width
            rise = mean[width:] - mean[:-width]
            at = np.arange(width, self.count - width + 1)
            scale = np.maximum(self.local[np.maximum(at - width, 0)], self.sigma) * np.sqrt(2 / width)
            found[at] = np.maximum(found[at], rise / scale)
        found[: self.quiet] = 0
        found[self.rate_rises] = 0
        return found

    @cached_property
    def rate_rises(self) -> NDArray[np.bool_]:
        """For each value, whether the learning rate has risen RATE_JUMPS times near it. [n]"""
        rate = self.run.rate.finite
        if len(rate) < 2:
            return np.zeros(self.count, dtype=bool)
        now = np.interp(self.steps, rate.steps, rate.values)
        warm = np.flatnonzero(np.diff(now) <= 0)
        now[: int(warm[0]) if len(warm) else 0] = now[int(warm[0])] if len(warm) else 0.0
        padded = np.concatenate([np.full(RATE_WITHIN, now[0]), now])
        least = np.lib.stride_tricks.sliding_window_view(padded, RATE_WITHIN + 1).min(axis=1)
        rises = np.asarray(now > RATE_JUMPS * np.maximum(least, 1e-12))
        around = np.pad(rises, WIDTHS[-1])
        windows = np.lib.stride_tricks.sliding_window_view(around, 2 * WIDTHS[-1] + 1)
        found: NDArray[np.bool_] = np.asarray(windows.any(axis=1))
        return found

    def jumps(self, limit: float) -> list[Jump]:
        """Every jump beyond the limit, in order; of jumps that are one rise, the steepest."""
        edges, found, at = self.edges, [], 0
        level_now = running_median(self.values, 3)
        while at < self.count:
            if edges[at] <= limit:
                at += 1
                continue
            stop = at
            while stop < self.count and edges[stop] > limit:
                stop += 1
            jump = self._jump(at, stop, level_now)
            found.append(jump)
            at = max(stop, jump.back or stop)
        return found

    def _jump(self, start: int, stop: int, level_now: Array) -> Jump:
        size = float(self.edges[start:stop].max())
        before = level(self.values[max(0, start - NEAR) : start])
        threshold = before + 2.5 * float(self.local[max(0, start - 1)])
        above = np.flatnonzero(self.values[start : stop + NEAR] > threshold)
        index = start + int(above[0]) if len(above) else int(start + self.edges[start:stop].argmax())
        peak = float(level_now[index : max(stop, index) + NEAR].max() - before)
        calm = running_median(self.values, CALM)
        sigma = float(self.local[max(0, start - 1)])
        near = max(BACK * min(peak, max(self.first - before, 0.0)), sigma / 2)
        back = np.flatnonzero(calm[index + 1 :] <= before + near)
        return Jump(index, size, before, peak, index + 1 + int(back[0]) if len(back) else None)


def prepare(run: RunCurve) -> Prepared:
    """Cut a run at its first loss that is not finite, and choose the series that episodes are sought in."""
    main = run.train if len(run.train) >= min(FEWEST, len(run.valid)) else run.valid
    broken = [_first_broken(one) for one in (run.train, run.valid)]
    at = min((step for step in broken if step is not None), default=None)
    kept = [one.finite if at is None else _before(one, at) for one in (main, run.valid)]
    return Prepared(run, kept[0], kept[1], at)


def _before(series: Series, step: float) -> Series:
    there = series.steps < step
    return Series(series.steps[there], series.values[there]).finite


def _first_broken(series: Series) -> float | None:
    wrong = np.flatnonzero(~np.isfinite(series.values))
    return float(series.steps[wrong[0]]) if len(wrong) else None
