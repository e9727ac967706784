"""What is said of curves in the terminal: one curve with its plot, or several side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from harness.core.curve import CurveReading, Episode, Level
from harness.curves.envelope import PER_KIND, measured_alarms
from harness.curves.terminal_plot import drawn
from harness.reports.curve_words import chance, columns_line, summary, title


def one_curve(reading: CurveReading, width: int) -> str:
    """A curve with its plot, its episodes, and what it says nothing about."""
    lines = [f"{reading.source}: {summary(reading)}", *_wrapped(columns_line(reading), width, 2), ""]
    lines += [*drawn(reading, width), ""]
    for one in reading.episodes:
        lines += [*_episode(one, reading.unit, width), ""]
    lines += _wrapped(chances(reading), width, 0)
    return "\n".join(lines)


def several(readings: Sequence[CurveReading], width: int) -> str:
    """One row per file, then the findings of each."""
    head = ("file", "points", "until", "first", "last", "valid", "seen")
    rows = [head, *(_row(one) for one in readings)]
    wide = [max(len(row[at]) for row in rows) for at in range(len(head) - 1)]
    wide[0] = min(wide[0], max(12, width - sum(wide[1:]) - 2 * len(wide) - 20))
    lines = []
    for row in rows:
        name = row[0] if len(row[0]) <= wide[0] else "..." + row[0][3 - wide[0] :]
        cells = [f"{name:<{wide[0]}}", *(f"{cell:>{wide[at]}}" for at, cell in enumerate(row[1:-1], 1)), row[-1]]
        lines.append("  ".join(cells).rstrip())
    for one in readings:
        if not one.is_healthy:
            lines += ["", f"{one.source}:"]
            lines += [line for episode in one.findings for line in _episode(episode, one.unit, width)]
    lines += ["", *_wrapped(chances(), width, 0)]
    return "\n".join(lines)


def chances(reading: CurveReading | None = None) -> str:
    """How often a healthy run is flagged, and what could not be judged."""
    flagged, runs, upper = measured_alarms()
    said = (
        f"Each check flags a healthy run with a probability of {PER_KIND:g}. Measured on {runs} healthy runs "
        f"that set no limit: {flagged} "
        f"flagged (below {100 * upper:.2g} %, with 95 % confidence). "
    )
    if reading is None:
        return said.strip()
    gaps = "; ".join(f"{name.replace('_', ' ')} ({why})" for name, why in reading.not_judged.items())
    return said + (f"Not judged: {gaps}." if gaps else "All checks were made.")


def _episode(one: Episode, unit: str, width: int) -> list[str]:
    mark = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "warning", Level.ERROR: "error"}[one.level]
    lines = [f"{mark:<8} {title(one, unit)}", *_wrapped(f"{one.evidence}.", width, 9)]
    if chance(one):
        lines += _wrapped(f"confidence: {chance(one)}", width, 9)
    if one.next_check:
        lines += _wrapped(f"next: {one.next_check}", width, 9)
    return lines


def _row(reading: CurveReading) -> tuple[str, ...]:
    train, valid = reading.tracks.get("train"), reading.tracks.get("valid")
    main = train or valid
    values = main.values if main else ()
    return (
        reading.source,
        str(len(values)),
        f"{reading.unit} {main.at[-1]:g}" if main and main.at else "-",
        f"{values[0]:.4g}" if values else "-",
        f"{np.median(values[-max(1, len(values) // 12) :]):.4g}" if values else "-",
        f"{np.median(valid.values[-3:]):.4g}" if valid and valid.values else "-",
        summary(reading),
    )


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(text, max(40, width), initial_indent=" " * indent, subsequent_indent=" " * indent) or [""]
