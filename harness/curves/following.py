"""A log that grows: judged again whenever enough has come, until something serious is seen or the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.core.curve import CurveReading, Episode, EpisodeKind, Level
from harness.curves.readers._table import CurveUnreadable

GROWTH = 0.05
"""The log is judged again when it has so much more values. So a run is judged some dozen times, not thousands."""
CONFIRMED = 2
"""Looks in a row at which an error is seen before it counts: a loss that is up for a moment is no divergence."""
AT_ONCE = (EpisodeKind.NAN,)
"""Needs no second look."""


@dataclass(frozen=True)
class Watched:
    """One look at a growing log. ``new``: the findings that no earlier look had; ``is_final``: the run has ended."""

    reading: CurveReading
    new: tuple[Episode, ...]
    serious: tuple[Episode, ...]
    is_final: bool = False


@dataclass(frozen=True)
class Clock:
    """How long to wait, in seconds. ``now`` and ``sleep`` are time's, or a test's."""

    idle: float
    interval: float = 2.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def follow(read: Callable[[bool], CurveReading], clock: Clock, stop_at: Level) -> Iterator[Watched]:
    """Looks at a log that grows. ``read(growing)`` reads and judges it.

    Ends with a final look when nothing has come for ``idle`` seconds, or at the first serious episode: an error, or
    with
    ``stop_at`` a warning, that was seen at CONFIRMED looks in a row. Raises CurveUnreadable where there is nothing to
    read after ``idle`` seconds.
    """
    seen: dict[EpisodeKind, int] = {}
    told: set[EpisodeKind] = set()
    judged, size, since = 0, -1, clock.now()
    while True:
        reading = _try(read)
        count = _count(reading)
        if count != size:
            size, since = count, clock.now()
        if reading is not None and count >= judged * (1 + GROWTH) + 1:
            judged = count
            seen = {one.kind: seen.get(one.kind, 0) + 1 for one in reading.findings}
            sure = tuple(one for one in reading.findings if seen[one.kind] >= CONFIRMED or one.kind in AT_ONCE)
            new = tuple(one for one in sure if one.kind not in told)
            told |= {one.kind for one in new}
            serious = tuple(one for one in sure if one.level == Level.ERROR or stop_at == Level.WARNING)
            yield Watched(reading, new, serious)
            if serious:
                return
        if clock.now() - since >= clock.idle:
            final = read(False)
            yield Watched(final, tuple(one for one in final.findings if one.kind not in told), final.findings, True)
            return
        clock.sleep(clock.interval)


def _try(read: Callable[[bool], CurveReading]) -> CurveReading | None:
    """The log as it is now; None while there is nothing that can be read."""
    try:
        return read(True)
    except CurveUnreadable:
        return None


def _count(reading: CurveReading | None) -> int:
    return sum(len(track.at) for track in reading.tracks.values()) if reading is not None else 0
