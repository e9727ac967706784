"""How a curve is put on a drawing: the range that is shown, and round numbers on its axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.core.curve import CurveReading, Track

ABOVE = 1.15
"""A drawing reaches so much above the first loss; what is higher is drawn at its edge."""
SHOWN = ("train", "valid")


def losses(reading: CurveReading) -> dict[str, Track]:
    """The tracks that are drawn."""
    return {role: reading.tracks[role] for role in SHOWN if role in reading.tracks}


def span_of_steps(tracks: Sequence[Track]) -> tuple[float, float]:
    """The first and the last step of all; at least one step apart."""
    steps = [step for track in tracks for step in track.at]
    low, high = (min(steps), max(steps)) if steps else (0.0, 1.0)
    return low, max(high, low + 1)


def span_of_losses(tracks: Sequence[Track]) -> tuple[float, float]:
    """The range of losses that is shown: down to the least, up to somewhat above the first values."""
    values = [value for track in tracks for value in track.values if math.isfinite(value)]
    if not values:
        return 0.0, 1.0
    begin = [value for track in tracks for value in track.values[:3] if math.isfinite(value)]
    least, most = min(values), max(values)
    ceiling = max(begin) + (ABOVE - 1) * max(abs(max(begin)), 1e-12) if begin else most
    high = min(most, max(ceiling, _quantile(values, 0.5)))
    if high - least < 1e-9 * max(1.0, abs(high)):
        return least - 0.5, high + 0.5
    return least, high


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers between two bounds, about so many."""
    raw = (high - low) / max(1, count)
    unit = 10 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def thinned(track: Track, most: int) -> Track:
    """A track of at most about so many points: of each stretch the least and the largest value, in order."""
    count = len(track.at)
    if count <= most:
        return track
    size = math.ceil(2 * count / most)
    kept: list[int] = []
    for start in range(0, count, size):
        part = range(start, min(start + size, count))
        finite = [at for at in part if math.isfinite(track.values[at])] or [start]
        pair = {min(finite, key=track.values.__getitem__), max(finite, key=track.values.__getitem__)}
        kept += sorted(pair)
    return Track(tuple(track.at[at] for at in kept), tuple(track.values[at] for at in kept))
