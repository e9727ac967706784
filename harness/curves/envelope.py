"""What healthy runs show: the tail of each statistic over many healthy runs, from which limits and probabilities come.

The table ``envelope.json`` is made by ``python tests/tools/curve_table.py --calibrate`` from healthy runs over many
seeds and settings. Above its ninth decile a statistic's tail is taken as exponential, so that a limit for one false
alarm in a thousand runs can be given from some hundred runs.
Source: Balkema and de Haan 1974, Pickands 1975 (excesses over a high threshold).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PER_KIND = 0.001
"""Probability that one healthy run shows an episode of one kind."""
POINTS = 500
"""Values that a run of the table has: a maximum over n values is exceeded n / 500 times as often."""
SHARE = 0.1
"""Share of the healthy runs above ``start``."""
FILE = Path(__file__).with_name("envelope.json")


@dataclass(frozen=True)
class Tail:
    """The upper tail of one statistic over healthy runs. ``start``: its ninth decile; ``scale``: the mean excess
    above it;
    ``most``: the largest; ``runs``: how many."""

    start: float
    scale: float
    most: float
    runs: int

    def limit(self, points: int = POINTS) -> float:
        """What a healthy run exceeds with probability PER_KIND, and no run of the table did.

        ``points``: how many values the maximum is taken over, for statistics that are one.
        """
        more = max(1.0, points / POINTS)
        return max(self.start + self.scale * math.log(SHARE * more / PER_KIND), self.most)

    def probability(self, statistic: float, points: int = POINTS) -> float:
        """The probability that a healthy run shows at least this; 0.1 for what is below the ninth decile."""
        if statistic <= self.start:
            return SHARE
        excess = (statistic - self.start) / max(self.scale, 1e-12)
        return min(1.0, max(1.0, points / POINTS) * SHARE * math.exp(-min(excess, 700)))


@cache
def envelope() -> dict[str, Tail]:
    """The shipped table: name of a statistic -> its tail."""
    table = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: Tail(**values) for name, values in table["tails"].items()}


@cache
def measured_alarms() -> tuple[int, int, float]:
    """(healthy runs that were flagged, how many were judged, upper 95 % limit of their share): on seeds that set no
    limit."""
    found = json.loads(FILE.read_text(encoding="utf-8"))["measured"]
    return found["flagged"], found["healthy"], found["upper"]


def tail_of(values: list[float]) -> Tail:
    """The tail of a statistic, measured on healthy runs."""
    ordered = sorted(value for value in values if math.isfinite(value))
    cut = ordered[int((1 - SHARE) * (len(ordered) - 1))]
    above = [value - cut for value in ordered if value > cut]
    scale = sum(above) / len(above) if above else 0.0
    return Tail(round(cut, 6), round(scale, 6), round(ordered[-1], 6), len(ordered))
