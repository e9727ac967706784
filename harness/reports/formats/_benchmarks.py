"""Benchmarks as drawings: ratios with their intervals, and time and memory over size on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.record import RunRecord
from harness.core.workload import OFF, Benchmark, Exponent, Interval, Timing
from harness.reports import benchmark_text as text

WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 400, 260, 68, 12, 10, 40
"""A plot in pixels of its own, and the room for what is written beside its axes."""
BAR = 220
DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5")
COLOURS = ("--ink", "--good", "--wait", "--bad", "--soft")
"""Lines are told apart by dash, colour and mark, so that no one of them is needed."""
FEWEST = 2


@dataclass(frozen=True)
class Bar:
    """An interval of a ratio on the scale that all ratios of the page share: places in pixels, and in words."""

    label: str
    said: str
    low: float
    middle: float
    high: float
    noisy: bool


@dataclass(frozen=True)
class Line:
    """``points``: (x, y, upper quartile, lower quartile) in pixels. ``dash``, ``colour``: style."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]
    path: str
    dash: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """Lines over a size, both axes logarithmic; marks as (pixel, text); the law as a line through its last point."""

    title: str
    axis: str
    of: str
    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    law: tuple[float, float, float, float] | None
    law_said: str
    told: tuple[tuple[str, str, bool], ...]
    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    width: int = WIDE
    height: int = HIGH
    left: int = LEFT
    right: int = WIDE - RIGHT
    top: int = TOP
    bottom: int = HIGH - BOTTOM


def drawn(record: RunRecord) -> dict[str, Any] | None:
    """What the page shows of the benchmarks; None where nothing was timed."""
    if not record.benchmarks:
        return None
    place, one = _scale([r.times for b in record.benchmarks for r in b.ratios])
    workloads = [_workload(b, place, number) for number, b in enumerate(record.benchmarks)]
    return {
        "machine": text.machine(record.machine),
        "doubtful": text.doubtful(record.benchmarks),
        "workloads": workloads,
        "one": one,
        "bar": BAR,
        "overview": any(w["bars"] for w in workloads),
    }


def _workload(one: Benchmark, place: Callable[[float], float], number: int) -> dict[str, Any]:
    titles, rows = text.table(one)
    timings = text.usual(one)
    bars = [_bar(f"{r.contender} beside {r.beside}", r.times, place) for r in one.ratios]
    pairs = dict.fromkeys((e.axis, e.of) for e in one.exponents)
    grown = [e for e in one.exponents if e.law is not None and not e.value.noisy and e.value.low > e.law + OFF]
    return {
        "id": f"benchmark-{number}",
        "component": one.component,
        "name": one.workload.replace("_", " "),
        "sentence": one.sentence.rstrip("."),
        "sizes": ", ".join(f"{k} {v}" for k, v in timings[0].sizes.items()) if timings else "",
        "titles": titles,
        "rows": rows,
        "bars": bars,
        "plots": [p for p in (_plot(one, axis, of) for axis, of in pairs) if p],
        "wrong": list(one.wrong.items()),
        "notes": one.notes,
        "median": text.times(timings[0]) if timings else "",
        "first": timings[0].contender if timings else "",
        "doubt": bool(one.wrong or grown),
        "mark": "wrong" if one.wrong else "grows too fast" if grown else "",
    }


def _scale(ratios: Sequence[Interval]) -> tuple[Callable[[float], float], float]:
    """Where a ratio lies on the common scale, and where 1 does; nothing lies outside."""
    low = math.log(min([0.5, *(r.low for r in ratios if r.low > 0)]))
    high = math.log(max([2.0, *(r.high for r in ratios if math.isfinite(r.high))]))

    def place(value: float) -> float:
        return round(6 + (BAR - 12) * (min(max(math.log(max(value, 1e-300)), low), high) - low) / (high - low), 1)

    return place, place(1.0)


def _bar(label: str, times: Interval, place: Callable[[float], float]) -> Bar:
    return Bar(label, text.interval(times), place(times.low), place(times.value), place(times.high), times.noisy)


def _plot(one: Benchmark, axis: str, of: str) -> Plot | None:
    """Who was measured at which sizes along this axis; None where that makes no line."""
    measured = _along(one, axis, of)
    if not measured:
        return None
    sizes = sorted({t.sizes[axis] for line in measured.values() for t in line})
    triples = [_triple(t, of) for line in measured.values() for t in line]
    x = _logarithmic(sizes[0], sizes[-1], LEFT + 10, WIDE - RIGHT - 10)
    y = _logarithmic(min(t[1] for t in triples), max(t[2] for t in triples), HIGH - BOTTOM - 10, TOP + 10)
    lines = []
    for number, (name, timings) in enumerate(measured.items()):
        points = tuple(
            (x(t.sizes[axis]), *(y(v) for v in (m, hi, lo))) for t in timings for m, lo, hi in [_triple(t, of)]
        )
        path = "M" + "L".join(f"{p[0]} {p[1]}" for p in points)
        dash, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
        lines.append(Line(name, points, path, dash, colour))  # type: ignore[arg-type]
    exponents = [e for e in one.exponents if (e.axis, e.of) == (axis, of)]
    laws = [(e.law, e.contender) for e in exponents if e.law is not None and e.contender in measured]
    write = text.seconds if of == "time" else text.size
    return Plot(
        f"{of} as {axis} grows",
        axis,
        of,
        tuple(lines),
        tuple(_marks(sizes, x, 30, str)),
        tuple(_marks(_round_values(triples, of), y, 22, write)),
        _law(laws[0][0], [(t.sizes[axis], _triple(t, of)[0]) for t in measured[laws[0][1]]], x, y) if laws else None,
        _law_said(laws, axis),
        tuple(_told(e) for e in exponents),
        tuple(measured),
        tuple((str(size), tuple(_cell(line, axis, size, of, write) for line in measured.values())) for size in sizes),
    )


def _law_said(laws: Sequence[tuple[float, str]], axis: str) -> str:
    if not laws:
        return ""
    power, contender = laws[0]
    whose = "" if len({law for law, _ in laws}) == 1 else f" of {contender}"
    return f"the law{whose}: {axis}^{power:g}" if power else f"the law{whose}: constant"


def _told(e: Exponent) -> tuple[str, str, bool]:
    return e.contender, e.told, e.law is not None and not e.value.noisy and e.value.low > e.law + OFF


def _along(one: Benchmark, axis: str, of: str) -> dict[str, list[Timing]]:
    """Contender -> timings by size, all else as at the usual point."""
    here = text.usual(one)
    others = {k: v for k, v in here[0].sizes.items() if k != axis} if here else {}
    found: dict[str, list[Timing]] = {}
    for t in one.timings:
        known = t.peak_bytes if of == "memory" else t.median
        if axis in t.sizes and known and {k: v for k, v in t.sizes.items() if k != axis} == others:
            found.setdefault(t.contender, []).append(t)
    kept = {name: sorted(line, key=lambda t: t.sizes[axis]) for name, line in found.items()}
    return {name: line for name, line in kept.items() if len({t.sizes[axis] for t in line}) >= FEWEST}


def _triple(t: Timing, of: str) -> tuple[float, float, float]:
    """The value with its quartiles; of memory there is only the one."""
    return (t.median, t.lower, t.upper) if of == "time" else (t.peak_bytes or 1.0,) * 3


def _cell(line: Sequence[Timing], axis: str, size: int, of: str, write: Callable[[float], str]) -> str:
    return next(
        (text.times(t) if of == "time" else write(t.peak_bytes or 0.0) for t in line if t.sizes[axis] == size), ""
    )


def _logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Pixel of a value. What does not vary lies in the middle."""
    span = math.log(high / low) if high > low else 0.0
    return lambda value: round(start + (end - start) * (math.log(value / low) / span if span else 0.5), 1)


def _law(power: float, points: Sequence[tuple[float, float]], x: Any, y: Any) -> tuple[float, float, float, float]:
    """The law through the last of these points, drawn as far back as the plot reaches."""
    (start, _), (end, value) = points[0], points[-1]
    at = value * (start / end) ** power
    x1, y1, x2, y2 = x(start), y(at), x(end), y(value)
    floor = HIGH - BOTTOM
    if y1 > floor:  # cut off at the lower edge
        x1, y1 = round(x2 - (x2 - x1) * (floor - y2) / (y1 - y2), 1), float(floor)
    return x1, y1, x2, y2


def _round_values(triples: Sequence[tuple[float, ...]], of: str) -> list[float]:
    """Round values inside the range: powers of ten (of two for memory), finer where fewer than three of them fit."""
    low, high = min(t[1] for t in triples), max(t[2] for t in triples)
    base = 2.0 if of == "memory" else 10.0
    powers = range(math.floor(math.log(low, base)), math.ceil(math.log(high, base)) + 1)
    wholes = [[base**p for p in powers if p % step == 0] for step in ((10, 4, 2, 1) if of == "memory" else ())]
    tens = [[s * base**p for p in powers for s in steps] for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))]
    for values in wholes or tens:
        inside = [v for v in values if low <= v <= high]
        if len(inside) >= 3:
            return inside
    return sorted({low, high})


def _marks(
    values: Sequence[float], pixel: Callable[[float], float], apart: float, write: Callable[[Any], str]
) -> list[tuple[float, str]]:
    """Those that do not run into one another."""
    kept: list[tuple[float, str]] = []
    for value in values:
        if not kept or abs(pixel(value) - kept[-1][0]) >= apart:
            kept.append((pixel(value), write(value)))
    return kept


def markdown(benchmarks: Sequence[Benchmark], escaped: Callable[[str], str]) -> list[str]:
    """A table of every workload, and its growth and doubts beneath."""

    def plain(said: str) -> str:
        return escaped(" ".join(said.split()))

    lines: list[str] = []
    for one in benchmarks:
        titles, rows = text.table(one)
        lines += [f"### `{one.component}` {plain(one.workload)}", "", f"{plain(one.sentence.rstrip('.'))}.", ""]
        if rows:
            lines += ["| " + " | ".join(map(plain, titles)) + " |", "|---" * len(titles) + "|"]
            lines += ["| " + " | ".join(map(plain, row)) + " |" for row in rows] + [""]
        told: Mapping[str, str] = {f"{e.contender}, {e.of}": e.told for e in one.exponents}
        beneath = [
            *(f"{who} {what}" for who, what in told.items()),
            *(f"{who} was not right after timing: {how}" for who, how in one.wrong.items()),
        ]
        beneath += one.notes
        lines += [f"- {plain(said)}" for said in beneath] + ([""] if beneath else [])
    return [*lines, *(f"{plain(said)}." for said in text.doubtful(benchmarks)), ""]
