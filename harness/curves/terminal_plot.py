"""A curve in plain characters, as wide as the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.core.curve import CurveReading, Track
from harness.reports.curve_scale import losses, span_of_losses, span_of_steps, ticks

SIGNS = {"train": ".", "valid": "o"}
NAMES = {"train": "training loss", "valid": "validation loss"}
ONSET, ABOVE = ":", "^"
LEFT = 9
"""Columns for the numbers of the vertical axis."""


def drawn(reading: CurveReading, width: int, height: int = 14) -> list[str]:
    """The lines of the plot. ``width``: columns in all. A colon marks the onset of a finding, ``^`` a loss above the
    drawing."""
    tracks = losses(reading)
    if not any(math.isfinite(value) for track in tracks.values() for value in track.values):
        return []
    columns = max(20, width - LEFT - 1)
    first, last = span_of_steps(list(tracks.values()))
    low, high = span_of_losses(list(tracks.values()))
    grid = [[" "] * columns for _ in range(height)]

    def column(step: float) -> int:
        return min(columns - 1, max(0, round((step - first) / (last - first) * (columns - 1))))

    for one in reading.findings:
        if one.onset is not None:
            for line in grid:
                line[column(one.onset)] = ONSET
    is_above = False
    for role, track in tracks.items():
        for at, value in _by_column(track, column):
            row = round((high - value) / (high - low) * (height - 1))
            is_above |= row < 0
            grid[max(0, min(height - 1, row))][at] = ABOVE if row < 0 else SIGNS[role]
    marks = {round((high - tick) / (high - low) * (height - 1)): f"{tick:g}" for tick in ticks(low, high)}
    lines = [f"{marks.get(at, ''):>{LEFT - 2}} |{''.join(row).rstrip()}" for at, row in enumerate(grid)]
    lines.append(" " * (LEFT - 1) + "+" + "-" * columns)
    lines.append(" " * LEFT + _below(ticks(first, last), column, columns, reading.unit))
    legend = [f"{SIGNS[role]} {NAMES[role]}" for role in tracks]
    legend += [f"{ONSET} onset"] if any(one.onset is not None for one in reading.findings) else []
    legend += [f"{ABOVE} above the drawing"] if is_above else []
    return [*(line.rstrip() for line in lines), " " * LEFT + "   ".join(legend)]


def _by_column(track: Track, column: Callable[[float], int]) -> list[tuple[int, float]]:
    """(column, value): of each column the mean of its least and largest values where they are near, else both."""
    found: dict[int, list[float]] = {}
    for step, value in zip(track.at, track.values, strict=True):
        if math.isfinite(value):
            found.setdefault(column(step), []).append(value)
    return [
        (at, value)
        for at, values in found.items()
        for value in {min(values), sorted(values)[len(values) // 2], max(values)}
    ]


def _below(marks: list[float], column: Callable[[float], int], columns: int, unit: str) -> str:
    row = [" "] * columns
    end = f"{unit}"
    free = 0
    for mark in marks:
        text = f"{mark:g}"
        start = min(max(0, column(mark) - len(text) // 2), columns - len(text))
        if start >= free and start + len(text) <= columns - len(end) - 1:
            row[start : start + len(text)] = list(text)
            free = start + len(text) + 2
    row[columns - len(end) :] = list(end)
    return "".join(row)
