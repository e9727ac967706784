"""Lessons as drawings: a line for each arm over what the plot counts, and each effect with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.lesson import Answer, Curve, LessonResult, Outcome
from harness.reports import lesson_text as text

WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 460, 280, 64, 14, 12, 40
BAR, BAR_HIGH, BAR_EDGE = 300, 30, 8
MARKS = 5
"""Marks on an axis, about."""
DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5")
COLOURS = ("--ink", "--good", "--wait", "--bad", "--hot", "--soft")
"""Lines are told apart by dash and colour together."""
CLASSES = {Outcome.HOLDS: "passed", Outcome.REFUTED: "failed", Outcome.OPEN: "to-do"}


@dataclass(frozen=True)
class Line:
    """``path`` through the means; ``band`` around smallest and largest, empty where all seeds agree."""

    name: str
    path: str
    band: str
    points: tuple[tuple[float, float], ...]
    dash: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """Lines, marks on the axes as (pixel, text), and the titles of the axes."""

    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    title_across: str
    title_up: str
    width: int = WIDE
    height: int = HIGH
    left: int = LEFT
    right: int = WIDE - RIGHT
    top: int = TOP
    bottom: int = HIGH - BOTTOM


@dataclass(frozen=True)
class Bar:
    """Interval, estimate and threshold of an effect on a scale of its own, in pixels. ``low`` and ``high`` may be cut
    at the edge."""

    low: float
    middle: float
    high: float
    threshold: float
    zero: float | None
    width: int = BAR
    height: int = BAR_HIGH


def drawn(results: Sequence[LessonResult]) -> list[dict[str, Any]]:
    """What the page shows of each lesson."""
    return [
        {
            "result": result,
            "verdict": text.verdict(result),
            "state": CLASSES[result.outcome],
            "plot": plot(result),
            "answers": [
                {
                    "answer": answer,
                    "state": CLASSES[answer.outcome],
                    "measured": text.measured(answer),
                    "asked": text.asked(answer),
                    "p": text.probability(answer.p),
                    "bar": bar(answer),
                }
                for answer in result.answers
            ],
        }
        for result in results
    ]


def plot(result: LessonResult) -> Plot | None:
    """The lines of a lesson; None where it has none. Numbers that are not finite are left out."""
    curves = [curve for curve in result.curves if curve.points]
    points = [p for curve in curves for p in curve.points if all(map(math.isfinite, (p.x, p.y, p.low, p.high)))]
    if not points:
        return None
    across = _axis([p.x for p in points], LEFT + 6, WIDE - RIGHT - 6, result.log_across)
    up = _axis([v for p in points for v in (p.low, p.high)], HIGH - BOTTOM - 6, TOP + 6, result.log_up)
    lines = tuple(_line(curve, number, across.place, up.place) for number, curve in enumerate(curves))
    return Plot(lines, across.marks, up.marks, result.across, result.up)


@dataclass(frozen=True)
class Axis:
    """Where a value is, in pixels, and the marks."""

    place: Callable[[float], float]
    marks: tuple[tuple[float, str], ...]


def _axis(values: Sequence[float], start: float, end: float, logarithmic: bool) -> Axis:
    scale: Callable[[float], float] = math.log10 if logarithmic and min(values) > 0 else float
    low, high = scale(min(values)), scale(max(values))
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(start + (end - start) * (scale(value) - low) / span, 1)

    if scale is float:
        step = _round_step(span / MARKS)
        marked = [step * at for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    else:
        decades = range(math.floor(low), math.ceil(high) + 1)
        marked = [
            m * 10.0**d for d in decades for m in (1, 2, 5) if low - 1e-9 <= math.log10(m * 10.0**d) <= high + 1e-9
        ]
        marked = marked if len(marked) > 1 else [min(values), max(values)]
    return Axis(place, tuple((place(value), f"{value:.4g}") for value in marked))


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below the step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _line(curve: Curve, number: int, across: Callable[[float], float], up: Callable[[float], float]) -> Line:
    finite = [p for p in curve.points if all(map(math.isfinite, (p.x, p.y, p.low, p.high)))]
    points = tuple((across(p.x), up(p.y)) for p in finite)
    highs = [(across(p.x), up(p.high)) for p in finite]
    lows = [(across(p.x), up(p.low)) for p in reversed(finite)]
    band = _path([*highs, *lows]) + "Z" if highs != lows[::-1] else ""
    dash, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
    return Line(curve.name, _path(points), band, points if len(points) <= 12 else (), dash, colour)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def bar(answer: Answer) -> Bar | None:
    """An effect on a scale of its own: estimate, threshold, and the interval as far as there is room."""
    if not math.isfinite(answer.estimate):
        return None
    reach = 3 * abs(answer.estimate - answer.threshold) or abs(answer.threshold) or 1.0
    low = max(answer.low, min(answer.estimate, answer.threshold) - reach)
    high = min(answer.high, max(answer.estimate, answer.threshold) + reach)
    least, most = min(low, answer.threshold), max(high, answer.threshold)
    span = (most - least) or 1.0

    def place(value: float) -> float:
        return round(BAR_EDGE + (BAR - 2 * BAR_EDGE) * (value - least) / span, 1)

    zero = place(0.0) if least <= 0.0 <= most and answer.threshold != 0.0 else None
    return Bar(place(low), place(answer.estimate), place(high), place(answer.threshold), zero)
