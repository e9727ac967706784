"""A loss curve as an SVG drawing: both losses, the onset of each finding, and the learning rate below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.curve import CurveReading, Episode, Track
from harness.reports.curve_scale import losses, span_of_losses, span_of_steps, thinned, ticks
from harness.reports.curve_words import chance, columns_line, summary, title

WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 760, 310, 54, 14, 24, 40
LOW = 70
"""Height of the strip of the learning rate."""
POINTS = 1500
NAMES = {"train": "training loss", "valid": "validation loss"}


@dataclass(frozen=True)
class Drawing:
    """Pixels and texts of one drawing; the template puts them into elements."""

    lines: tuple[tuple[str, str, str], ...]
    """(role, name, path)."""
    dots: tuple[tuple[float, float], ...]
    """The validation losses, where there are few enough."""
    marks: tuple[tuple[float, str, str], ...]
    """(pixel, level, text) of the onsets."""
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    rate: str
    """Path of the learning rate, or an empty text."""
    rate_label: str
    clipped: int
    """How many losses lie above the drawing."""
    unit: str
    width: int = WIDE
    height: int = HIGH
    left: int = LEFT
    right: int = WIDE - RIGHT
    top: int = TOP
    bottom: int = HIGH - BOTTOM
    low: int = LOW


def shown(readings: Sequence[CurveReading]) -> list[dict[str, Any]]:
    """What the template needs of each curve."""
    return [
        {
            "reading": one,
            "columns": columns_line(one),
            "label": f"{one.source}: {summary(one)}",
            "drawing": drawing(one),
            "episodes": [
                {
                    "level": episode.level.value,
                    "title": title(episode, one.unit),
                    "evidence": episode.evidence,
                    "chance": chance(episode),
                    "next": episode.next_check,
                }
                for episode in one.episodes
            ],
        }
        for one in readings
    ]


def drawing(reading: CurveReading) -> Drawing:
    """Where everything of a curve stands."""
    tracks = {role: thinned(track, POINTS) for role, track in losses(reading).items()}
    first, last = span_of_steps(list(tracks.values()))
    low, high = span_of_losses(list(losses(reading).values()))

    def x(step: float) -> float:
        return round(LEFT + (step - first) / (last - first) * (WIDE - RIGHT - LEFT), 1)

    def y(value: float) -> float:
        shown = min(value, high)
        return round(TOP + (high - shown) / (high - low) * (HIGH - BOTTOM - TOP), 1)

    lines = [(role, NAMES[role], _path([(x(s), y(v)) for s, v in _finite(track)])) for role, track in tracks.items()]
    valid = tracks.get("valid", Track())
    dots = [(x(s), y(v)) for s, v in _finite(valid)] if len(valid.at) <= 60 else []
    clipped = sum(v > high for track in losses(reading).values() for _, v in _finite(track))
    rate = thinned(reading.tracks.get("rate", Track()), POINTS)
    most = max((v for _, v in _finite(rate)), default=0.0)
    strip = [(x(s), round(LOW - 6 - (v / most) * (LOW - 22), 1)) for s, v in _finite(rate)] if most > 0 else []
    return Drawing(
        tuple(lines),
        tuple(dots),
        _marks(reading.findings, x),
        tuple((x(tick), f"{tick:g}") for tick in ticks(first, last, 6)),
        tuple((y(tick), f"{tick:g}") for tick in ticks(low, high, 5)),
        _path(strip),
        f"learning rate, up to {most:.3g}",
        clipped,
        reading.unit,
    )


def _marks(findings: Sequence[Episode], x: Callable[[float], float]) -> tuple[tuple[float, str, str], ...]:
    found = [(one.onset, one) for one in findings if one.onset is not None]
    return tuple((x(onset), one.level.value, one.kind.value.replace("_", " ")) for onset, one in found)


def _finite(track: Track) -> list[tuple[float, float]]:
    return [(s, v) for s, v in zip(track.at, track.values, strict=True) if math.isfinite(v)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points) if len(points) > 1 else ""
