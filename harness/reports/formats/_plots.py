"""Numbers by label as lines where the labels count something, as bars where they do not; grids as maps side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
FEWEST = 3
"""Points that make a line."""
WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 340, 190, 58, 14, 12, 30
DECADE, TWICE = 8.0, 2.0
"""An axis is logarithmic from this ratio of largest to smallest on; the second: a vertical axis beside such a one."""
SHADES, DEEP = 10, 6
"""A map has so many shades beside none; from DEEP on, its cells are written on in the other colour."""


@dataclass(frozen=True)
class Line:
    """``points`` on the drawing, in pixels; ``path`` through them; ``dash`` tells lines apart without colours."""

    name: str
    points: tuple[tuple[float, float], ...]
    path: str
    dash: str


@dataclass(frozen=True)
class Plot:
    """Lines, and marks on the axes: (pixel, text). ``scales``: in words, how the axes are divided."""

    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    scales: str
    width: int = WIDE
    height: int = HIGH
    left: int = LEFT
    right: int = WIDE - RIGHT
    top: int = TOP
    bottom: int = HIGH - BOTTOM


@dataclass(frozen=True)
class Cell:
    shade: int
    text: str
    deep: bool


@dataclass(frozen=True)
class Map:
    """One grid: what it is called, and its cells."""

    label: str
    rows: tuple[tuple[Cell, ...], ...]


def plot(series: Mapping[str, float]) -> Plot | None:
    """Lines through the numbers, where each label is the same words around one number that grows; None otherwise."""
    found = _counted(series)
    if not found:
        return None
    horizontal = sorted({x for line in found.values() for x, _ in line})
    vertical = [y for line in found.values() for _, y in line]
    across, along = _axis(horizontal, LEFT + 8, WIDE - RIGHT - 8, _is_wide(horizontal))
    wide = _is_wide(vertical, TWICE if across else DECADE)
    up, upwards = _axis(vertical if wide else [*vertical, 0.0], HIGH - BOTTOM - 6, TOP + 6, wide)
    lines = []
    for number, (name, values) in enumerate(found.items()):
        points = tuple((round(along(x), 1), round(upwards(y), 1)) for x, y in sorted(values))
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        lines.append(Line(name, points, path, ("", "6 4", "2 3", "9 3 2 3")[number % 4]))
    scales = {
        (True, True): "Both axes are logarithmic: a straight line is a power.",
        (True, False): "The horizontal axis is logarithmic.",
        (False, True): "The vertical axis is logarithmic.",
        (False, False): "",
    }[across, up]
    marks = tuple((round(along(x), 1), f"{x:g}") for x in _apart(horizontal, along, 30))
    heights = _apart(sorted({max(vertical), min(vertical), *([] if up else [0.0])}, reverse=True), upwards, 14)
    return Plot(tuple(lines), marks, tuple((round(upwards(y), 1), f"{y:.3g}") for y in heights), scales)


def _counted(series: Mapping[str, float]) -> dict[str, list[tuple[float, float]]]:
    """Points by the words around the number; none if a label has no number, or several of its numbers change."""
    groups: dict[str, list[tuple[list[str], float]]] = {}
    for label, value in series.items():
        if not math.isfinite(value):
            return {}
        groups.setdefault(NUMBER.sub("\0", label), []).append((NUMBER.findall(label), value))
    lines = {}
    for words, rows in groups.items():
        changing = [at for at in range(len(rows[0][0])) if len({numbers[at] for numbers, _ in rows}) > 1]
        if len(rows) < FEWEST or len(changing) != 1:
            return {}
        pieces = words.split("\0")
        filled = [("..." if at == changing[0] else rows[0][0][at]) for at in range(len(pieces) - 1)]
        name = "".join(a + b for a, b in zip(pieces, [*filled, ""], strict=True))
        lines[name] = [(float(numbers[changing[0]].replace(",", "")), value) for numbers, value in rows]
    return lines


def _is_wide(values: Sequence[float], ratio: float = DECADE) -> bool:
    return min(values) > 0 and max(values) / min(values) >= ratio


def _axis(values: Sequence[float], start: float, end: float, wide: bool) -> tuple[bool, Callable[[float], float]]:
    """Whether the axis is logarithmic, and the pixel of a value on it."""
    scale = math.log if wide else float
    low, high = scale(min(values)), scale(max(values))
    span = (high - low) or 1.0
    return wide, lambda value: start + (end - start) * (scale(value) - low) / span


def _apart(values: Iterable[float], pixel: Callable[[float], float], least: float) -> list[float]:
    """Those whose marks do not run into one another: the first, and each that is far enough from the one before."""
    kept: list[float] = []
    for value in values:
        if not kept or abs(pixel(value) - pixel(kept[-1])) >= least:
            kept.append(value)
    return kept


def bars(series: Mapping[str, float]) -> list[dict[str, object]]:
    """Bars that begin at zero, as shares of the longest in percent."""
    largest = max((abs(v) for v in series.values() if math.isfinite(v)), default=0.0)
    return [
        {
            "label": label,
            "value": _written(value),
            "share": round(100 * abs(value) / largest) if largest and math.isfinite(value) else 0,
        }
        for label, value in series.items()
    ]


def _written(value: float) -> str:
    """Four digits; whole numbers in full, as long as they can be read."""
    return f"{value:,.0f}" if value == round(value, 0) and abs(value) < 1e9 else f"{value:.4g}"


def maps(grids: Mapping[str, Sequence[Sequence[float]]]) -> list[tuple[str, list[Map]]]:
    """Grids labelled ``whose, which``, grouped by which, all shaded alike from zero to the largest value."""
    finite = [abs(v) for grid in grids.values() for row in grid for v in row if math.isfinite(v)]
    largest = max(finite, default=0.0) or 1.0
    found: dict[str, list[Map]] = {}
    for label, grid in grids.items():
        whose, comma, which = label.partition(", ")
        rows = tuple(tuple(_cell(v, abs(v) / largest, _short(v)) for v in row) for row in grid)
        found.setdefault(which if comma else "", []).append(Map(whose, rows))
    return list(found.items())


def error_map(error_map: Sequence[Sequence[float]]) -> list[list[Cell]]:
    """Errors in units of the tolerance: blank up to 1, then a shade for every decade."""
    shade = [
        [0.0 if v <= 1 else min(1.0, (1 + int(math.log10(v))) / SHADES) if math.isfinite(v) else 1.0 for v in row]
        for row in error_map
    ]
    return [
        [
            _cell(v, s, f"{v:.0e}".replace("e+0", "e").replace("e+", "e") if v >= 100 else f"{v:.2g}")
            for v, s in zip(row, shades, strict=True)
        ]
        for row, shades in zip(error_map, shade, strict=True)
    ]


def _cell(value: float, share: float, text: str) -> Cell:
    shade = SHADES if not math.isfinite(value) else min(SHADES, math.ceil(SHADES * share - 1e-9))
    return Cell(shade, text, shade >= DEEP)


def _short(value: float) -> str:
    """Two decimals, without the zero before them; nothing where it is zero."""
    if value == 0:
        return "0"
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 10 else f"{value:.3g}"
