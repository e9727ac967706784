"""What every kind of episode is: what is measured, and how an episode is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.core.curve import Episode, EpisodeCause, EpisodeKind, Level
from harness.curves.envelope import POINTS, Tail
from harness.curves.prepared import Prepared


@dataclass(frozen=True)
class Measured:
    """A statistic of a run, larger the less healthy. ``points``: how many values it is the maximum of, where it is one.
    ``facts``: what the words need besides."""

    statistic: float
    points: int = POINTS
    form: str = ""
    """The part of the table that it is compared with: runs with few values, without a learning rate, ..."""
    facts: dict[str, float] = field(default_factory=dict)


SPARSE = ".sparse"
DENSE = 120
"""Values of a loss from which a run counts as dense; the noise of a level over fewer values is another."""


def form_of(count: int) -> str:
    """The part of the table for a series of so many values."""
    return "" if count >= DENSE else SPARSE


@dataclass(frozen=True)
class Detector:
    """One kind of episode.

    ``measure`` returns the statistic, or a text why this run says nothing. ``tell`` is called where the statistic is
    beyond the limit of healthy runs; it returns an episode, or None where the run turns out to be another kind.
    ``name``: of the statistic in the table; empty where none is compared with healthy runs. ``in_growing``: whether it
    can be said while the run goes on.
    """

    kind: EpisodeKind
    name: str
    sentence: str
    """What holds of a healthy run."""
    measure: Callable[[Prepared], Measured | str]
    tell: Callable[[Prepared, Measured, Tail], Episode | None]
    rank: int = 50
    least: float = 0.0
    """What is smaller is of no interest, however rare among healthy runs."""
    in_growing: bool = True


def episode(
    kind: EpisodeKind,
    level: Level,
    onset: float | None,
    words: tuple[str, str],
    measured: Measured,
    tail: Tail,
    cause: EpisodeCause = EpisodeCause.UNKNOWN,
    end: float | None = None,
) -> Episode:
    """An episode with its statistic beside the limit. ``words``: evidence, and next check."""
    limit, chance = tail.limit(measured.points), tail.probability(measured.statistic, measured.points)
    return Episode(kind, level, onset, *words, cause, end, measured.statistic, limit, chance)
