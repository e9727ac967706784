"""Benchmarks as a table for the terminal: times, ratios, growth, and which results are not to be trusted."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.core.record import RunRecord
from harness.core.workload import BELIEVABLE, OFF, Benchmark, Interval, Timing

WIDTH = 120
LONGEST_NAME = 36
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
LARGE = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, ""))
BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def lines(record: RunRecord) -> list[str]:
    """Every workload with its table, at most 120 columns wide; nothing where nothing was timed."""
    if not record.benchmarks:
        return []
    found = ["benchmarks" + (f" ({machine(record.machine)})" if record.machine else ""), ""]
    for one in record.benchmarks:
        found += [
            *_wrapped(f"{one.component}, {one.workload}: {one.sentence.rstrip('.')}{_at(one)}", "", "    "),
            *_block(one),
            "",
        ]
    return [*found, *(line for text in doubtful(record.benchmarks) for line in _wrapped(text, "", "    ")), ""]


def machine(values: Mapping[str, Any]) -> str:
    """What was measured on, in one line."""
    known = [str(values[key]) for key in ("gpu", "cpu") if values.get(key)]
    if "threads" in values:
        cores = f" of {values['cores']} cores" if "cores" in values else ""
        known.append(f"{counted(values['threads'], 'thread')}{cores}")
    known += [str(values["dtype"])] if values.get("dtype") else []
    known += [f"{name} {values[name]}" for name in ("torch", "python") if values.get(name)]
    return ", ".join(known)


def table(benchmark: Benchmark) -> tuple[list[str], list[list[str]]]:
    """Column titles and a row for each contender at the usual point; a column that nothing is known for is left out."""
    timings, head = usual(benchmark), next((r.contender for r in benchmark.ratios), "")
    beside = {r.beside: r.times for r in benchmark.ratios if r.contender == head}
    titles = [
        "contender",
        "median (quartiles)",
        f"{short(head)} takes",
        f"{benchmark.unit or 'units'}/s",
        "peak memory",
        "of roofline",
    ]
    rows = [
        [
            " ".join(t.contender.split()) + (" (wrong)" if t.contender in benchmark.wrong else ""),
            times(t),
            _factor(beside.get(t.contender)),
            large(benchmark.throughput.get(t.contender)),
            size(t.peak_bytes),
            share(t.share_of_roofline),
        ]
        for t in timings
    ]
    kept = [i for i, _ in enumerate(titles) if i < 2 or any(row[i] for row in rows)]
    return [titles[i] for i in kept], [[row[i] for i in kept] for row in rows]


def usual(benchmark: Benchmark) -> list[Timing]:
    """The timings at the point where contenders were set side by side, and not those along an axis."""
    points = [r.sizes for r in benchmark.ratios] or [t.sizes for t in benchmark.timings]
    return [t for t in benchmark.timings if t.sizes == points[0]] if points else []


def doubtful(benchmarks: Iterable[Benchmark]) -> list[str]:
    """What of all that is wrong, noisy, too fast to be true, or grows faster than it should: one sentence each."""
    found: dict[str, list[str]] = {}
    count = 0
    for one in benchmarks:
        count += 1
        title = f"{one.component} {one.workload}"
        for contender in one.wrong:
            found.setdefault("not right after timing, so that their times say nothing", []).append(
                f"{title} ({contender})"
            )
        if any(r.times.noisy for r in one.ratios):
            noisy = ", ".join(dict.fromkeys(r.beside for r in one.ratios if r.times.noisy))
            found.setdefault("too noisy to compare", []).append(f"{title} (beside {noisy})")
        for t in one.timings:
            if (t.share_of_roofline or 0.0) > BELIEVABLE:
                found.setdefault("faster than this machine was measured to be, not to be believed", []).append(
                    f"{title} ({t.contender})"
                )
        for e in one.exponents:
            if e.law is not None and not e.value.noisy and e.value.low > e.law + OFF:
                found.setdefault("grows faster than its law", []).append(
                    f"{title} ({e.contender}, {e.of} with {e.axis})"
                )
    if not found:
        return [
            f"{counted(count, 'workload')} timed; every result was right, none too noisy or growing faster than its law"
        ]
    return [f"{reason}: {', '.join(dict.fromkeys(where))}" for reason, where in found.items()]


def times(timing: Timing) -> str:
    """``1.31 ms (1.29 to 1.34)``: all three in the unit of the median."""
    scale, unit = next(((s, u) for s, u in UNITS if timing.median >= s), UNITS[-1])
    middle, low, high = (_digits(x / scale) for x in (timing.median, timing.lower, timing.upper))
    return f"{middle} {unit} ({low} to {high})"


def seconds(value: float) -> str:
    """``1.31 ms``."""
    scale, unit = next(((s, u) for s, u in UNITS if value >= s), UNITS[-1])
    return f"{_digits(value / scale)} {unit}"


def large(value: float | None) -> str:
    """``195 k``; an empty text where nothing is known."""
    if value is None:
        return ""
    scale, sign = next(((s, u) for s, u in LARGE if value >= s), LARGE[-1])
    return f"{_digits(value / scale)}{sign}"


def size(value: float | None) -> str:
    """``4.12 MiB``; an empty text where nothing is known."""
    if value is None:
        return ""
    scale, unit = next(((s, u) for s, u in BYTES if value >= s), BYTES[-1])
    return f"{_digits(value / scale) if scale > 1 else round(value)} {unit}"


def share(value: float | None) -> str:
    """``31 %``; beyond what can be believed it says so."""
    if value is None:
        return ""
    return f"{100 * value:.0f} %" + (" (!)" if value > BELIEVABLE else "")


def interval(value: Interval) -> str:
    """``1.19 x (1.17 to 1.21)``."""
    noisy = ", noisy" if value.noisy else ""
    return f"{_digits(value.value)} x ({_digits(value.low)} to {_digits(value.high)}{noisy})"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _factor(value: Interval | None) -> str:
    return interval(value) if value else ""


def _block(one: Benchmark) -> list[str]:
    titles, rows = table(one)
    found = _columns([titles, *rows], right=range(2, len(titles))) if rows else []
    for axis, of in dict.fromkeys((e.axis, e.of) for e in one.exponents):
        grown = [(e.contender, e.told) for e in one.exponents if (e.axis, e.of) == (axis, of)]
        wide = max(len(short(name)) for name, _ in grown)
        found.append(f"  {of} as {axis} grows{_range(one, axis)}:")
        for name, told in grown:
            found += _wrapped(f"{short(name):<{wide}}  {told}", "    ", "    " + " " * (wide + 2))
    for contender, how in one.wrong.items():
        found += _wrapped(f"{contender} was not right after timing: {how}", "  ", "    ")
    for note in one.notes:
        found += _wrapped(note, "  ", "    ")
    return found


def _columns(rows: Sequence[Sequence[str]], right: Iterable[int]) -> list[str]:
    """Aligned, numbers to the right; names are cut where the whole would be too wide."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], LONGEST_NAME, max(9, WIDTH - sum(widths[1:]) - 2 * len(widths)))
    rows = [[short(row[0], widths[0]), *row[1:]] for row in rows]
    numbers = set(right)
    return [
        (
            "  "
            + "  ".join(
                c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in rows
    ]


def _at(one: Benchmark) -> str:
    timings = usual(one)
    sizes = ", ".join(f"{name} {value}" for name, value in timings[0].sizes.items()) if timings else ""
    return f" ({sizes})" if sizes else ""


def _range(one: Benchmark, axis: str) -> str:
    values = [t.sizes[axis] for t in one.timings if axis in t.sizes]
    return f" ({min(values)} to {max(values)})" if values and min(values) < max(values) else ""


def _digits(value: float) -> str:
    """Three of them: 0.0131, 0.131, 1.31, 13.1, 131, 1310."""
    if 0 < value < 0.0995:
        return f"{value:.{2 - math.floor(math.log10(value))}f}"
    return f"{value:.{3 if value < 0.9995 and value else 2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name in one line; of one too long the beginning and the end."""
    name = " ".join(name.split())
    return name if len(name) <= most else f"{name[: most - 1 - most // 3]}…{name[-(most // 3) :]}"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
