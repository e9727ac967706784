"""A training run's curve as a reader gives it, and the episodes that are seen in it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class EpisodeKind(str, Enum):
    """What happens in a stretch of a training run. It equals and is written as its text."""

    HEALTHY = "healthy"
    NAN = "nan"
    DIVERGENCE = "divergence"
    RESUME_JUMP = "resume_jump"
    SPIKES = "spikes"
    PLATEAU = "plateau"
    OVERFIT = "overfit"
    LEAK = "leak"
    REPEATED_BATCHES = "repeated_batches"
    ENDS_EARLY = "ends_early"
    VALIDATION_BELOW_TRAINING = "validation_below_training"

    def __str__(self) -> str:
        return self.value


class EpisodeCause(str, Enum):
    """What the shape of an episode says about its cause; empty where it says nothing."""

    UNKNOWN = ""
    WEIGHTS_LOST = "weights_lost"
    OPTIMISER_STATE_LOST = "optimizer_state_lost"
    RATE_TOO_LOW = "rate_too_low"
    RATE_TOO_HIGH = "rate_too_high"
    SAME_ORDER = "same_order"
    LITTLE_DATA = "little_data"

    def __str__(self) -> str:
        return self.value


class Level(str, Enum):
    """How serious an episode is. Errors and warnings are findings; errors stop a run that is followed."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value

    @property
    def is_finding(self) -> bool:
        """Whether it counts against the run."""
        return self in (Level.WARNING, Level.ERROR)


@dataclass(frozen=True)
class Episode:
    """One thing that happens in a run.

    ``onset``, ``end``: in the unit of the curve; None where it has no beginning, or lasts. ``evidence``: the numbers in
    a sentence. ``next_check``: what to look at. ``statistic``, ``limit``: what was measured and the most that healthy
    runs showed; ``false_alarm``: the probability that one healthy run shows as much.
    """

    kind: EpisodeKind
    level: Level
    onset: float | None
    evidence: str
    next_check: str = ""
    cause: EpisodeCause = EpisodeCause.UNKNOWN
    end: float | None = None
    statistic: float | None = None
    limit: float | None = None
    false_alarm: float | None = None
    check: str = ""
    """Name of the check that found it."""

    @property
    def confidence(self) -> float | None:
        """1 less the probability that a healthy run shows it; None where nothing was measured against healthy runs."""
        return None if self.false_alarm is None else 1 - self.false_alarm


@dataclass(frozen=True)
class Track:
    """One quantity over the run: ``at`` in the unit of the curve, and its values, which may be NaN or infinite."""

    at: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class CurveReading:
    """A file, what was found in it, and the episodes.

    ``columns``: role (train, valid, rate, norm, step) -> name of the column. ``unit``: step, epoch, or row.
    """

    source: str
    file_format: str
    unit: str
    columns: dict[str, str]
    tracks: dict[str, Track]
    episodes: tuple[Episode, ...] = ()
    notes: tuple[str, ...] = ()
    not_judged: dict[str, str] = field(default_factory=dict)
    """Check -> why the curve says nothing about it."""
    consequences: dict[str, str] = field(default_factory=dict)
    """Check that found something -> the check whose finding explains it."""
    checks: dict[str, str] = field(default_factory=dict)
    """Every check, in a sentence that holds of a healthy run."""

    @property
    def findings(self) -> tuple[Episode, ...]:
        """The episodes that count against the run, the first cause first."""
        return tuple(one for one in self.episodes if one.level.is_finding)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing counts against the run."""
        return not self.findings
