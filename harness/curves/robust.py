"""Statistics that single wild values do not move: running medians, scales from median absolute deviations, ranks."""

from __future__ import annotations

import numpy as np

from harness.curves.run_curve import Array

TO_SIGMA = 1.4826
"""A normal distribution's standard deviation in units of its median absolute deviation."""


def running_median(values: Array, width: int) -> Array:
    """The median of the ``width`` (odd) values around each; at the ends, of those that are there."""
    half = max(0, width // 2)
    if half == 0 or len(values) < 3:
        return values.copy()
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    found: Array = np.nanmedian(windows, axis=1)
    return found


def noise(values: Array) -> Array:
    """The deviation of each value from the mean of its neighbours, scaled to the standard deviation of one value.

    A trend that is a straight line over three values leaves nothing. [n] -> [n]; the first and the last are 0.
    """
    found = np.zeros_like(values)
    if len(values) > 2:
        found[1:-1] = (values[1:-1] - (values[:-2] + values[2:]) / 2) / np.sqrt(1.5)
    return found


def spread(values: Array) -> float:
    """The standard deviation of the noise of single values, from the median absolute deviation of :func:`noise`."""
    inner = noise(values)[1:-1]
    return float(TO_SIGMA * np.median(np.abs(inner))) if len(inner) else 0.0


def local_spread(values: Array, width: int) -> Array:
    """:func:`spread` in a window around each value, at least half of that of all values. [n] -> [n]"""
    inner = np.abs(noise(values))
    if len(inner) > 2:
        inner[0], inner[-1] = inner[1], inner[-2]
    found: Array = np.maximum(TO_SIGMA * running_median(inner, width), spread(values) / 2)
    return found


def level(values: Array) -> float:
    """The median; NaN of nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def odd(number: float, least: int, most: int) -> int:
    """The nearest odd whole number between two bounds."""
    return int(min(max(2 * round((number - 1) / 2) + 1, least), most))


def slope(steps: Array, values: Array) -> float:
    """The median of the slopes between pairs far apart (Theil and Sen), per step; 0 of fewer than four values."""
    count = len(values)
    if count < 4:
        return 0.0
    half = count // 2
    gaps = steps[count - half :] - steps[:half]
    return float(np.median((values[count - half :] - values[:half]) / np.where(gaps > 0, gaps, np.inf)))
