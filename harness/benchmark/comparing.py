"""Two runs of the same benchmarks, perhaps on two machines: what became slower relative to the reference in its run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.workload import OFF, Benchmark, Exponent, Interval, Ratio

SLOWER, FASTER, SAME, NOISY, NEW, GONE = "slower", "faster", "same", "noisy", "new", "gone"
MORE, LESS, STEEPER, FLATTER = "more memory", "less memory", "steeper", "flatter"
PROCESSES = 1.1
"""A factor below this is no difference. Processes differ by where things lie in memory, which no interval from inside
one process contains (Mytkowicz and others 2009): six processes on a busy machine gave 1.65 (1.61 to 1.74) to 1.80 (1.76
to 1.84) for the same two functions."""
NOTICEABLE = 1.02
"""Memory is counted, not sampled; less than this is alignment."""


@dataclass(frozen=True)
class Change:
    """What became of one measured thing. ``times``: new over old, where both are there."""

    component: str
    workload: str
    kind: str
    contender: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    beside: str = ""
    times: Interval | None = None
    before: str = ""
    after: str = ""


def compare(old: Sequence[Benchmark], new: Sequence[Benchmark]) -> list[Change]:
    """Every ratio of both runs, by component, workload, contender and sizes; memory and exponents only if changed."""
    before, after = ({(b.component, b.workload): b for b in run} for run in (old, new))
    changes: list[Change] = []
    for key, now in after.items():
        changes += _changes(before[key], now) if key in before else [Change(*key, NEW)]
    return changes + [Change(*key, GONE) for key in before if key not in after]


def lines(changes: Sequence[Change]) -> list[str]:
    """What to read of it: what is slower first, then the rest; what did not change is counted by name."""
    order = (SLOWER, STEEPER, MORE, FASTER, FLATTER, LESS, NOISY, SAME, GONE, NEW)
    told = [_told(change) for kind in order for change in changes if change.kind == kind]
    if not any(c.times for c in changes):
        told.append("nothing was measured in both runs")
    return told


def _changes(old: Benchmark, new: Benchmark) -> list[Change]:
    where = (new.component, new.workload)
    found = []
    before, after = _by(old.ratios), _by(new.ratios)
    for key, now in after.items():
        if key not in before:
            found.append(Change(*where, NEW, now.contender, now.sizes, now.beside))
            continue
        times = quotient(now.times, before[key].times)
        found.append(Change(*where, _kind(times), now.contender, now.sizes, now.beside, times))
    found += [
        Change(*where, GONE, was.contender, was.sizes, was.beside) for key, was in before.items() if key not in after
    ]
    return [*found, *_memory(old, new), *_exponents(old.exponents, new.exponents, where)]


def quotient(new: Interval, old: Interval) -> Interval:
    """New over old, with the 95 % interval of a quotient of two independent estimates (Zou and Donner 2008)."""
    value = new.value / old.value
    down = math.hypot(math.log(new.value / new.low), math.log(old.high / old.value))
    up = math.hypot(math.log(new.high / new.value), math.log(old.value / old.low))
    return Interval(value, value * math.exp(-down), value * math.exp(up), new.noisy or old.noisy)


def _kind(times: Interval) -> str:
    if times.low > PROCESSES:
        return SLOWER
    if times.high < 1 / PROCESSES:
        return FASTER
    return NOISY if times.noisy else SAME


def _by(ratios: Iterable[Ratio]) -> dict[tuple[object, ...], Ratio]:
    return {(r.contender, r.beside, *sorted(r.sizes.items())): r for r in ratios}


def _memory(old: Benchmark, new: Benchmark) -> list[Change]:
    """Where the most memory held is another, at the same sizes."""
    before = {(t.contender, *sorted(t.sizes.items())): t.peak_bytes for t in old.timings}
    found = []
    for now in new.timings:
        was = before.get((now.contender, *sorted(now.sizes.items())))
        if was and now.peak_bytes and max(now.peak_bytes / was, was / now.peak_bytes) > NOTICEABLE:
            times = now.peak_bytes / was
            kind = MORE if times > 1 else LESS
            found.append(
                Change(new.component, new.workload, kind, now.contender, now.sizes, times=Interval(times, times, times))
            )
    return found


def _exponents(old: Iterable[Exponent], new: Iterable[Exponent], where: tuple[str, str]) -> list[Change]:
    """Where something grows by half a power faster or slower than before, and neither was uncertain."""
    before = {(e.contender, e.axis, e.of): e for e in old}
    found = []
    for now in new:
        was = before.get((now.contender, now.axis, now.of))
        if was is None or was.value.noisy or now.value.noisy or abs(now.value.value - was.value.value) < OFF:
            continue
        if now.value.low > was.value.high or now.value.high < was.value.low:
            kind = STEEPER if now.value.value > was.value.value else FLATTER
            told = [f"{now.of} {e.told or f'grows like {e.axis}^{e.value.value:.2f}'}" for e in (was, now)]
            found.append(Change(*where, kind, now.contender, before=told[0], after=told[1]))
    return found


def _told(change: Change) -> str:
    at = ", ".join(f"{name} {size}" for name, size in change.sizes.items())
    title = (
        f"{change.component}, {change.workload}"
        + (f", {change.contender}" if change.contender else "")
        + (f" ({at})" if at else "")
    )
    factor, inverse = _factors(change.times)
    beside = f", beside {change.beside}" if change.beside else ""
    said = {
        SLOWER: f"slower than before by {factor}{beside}",
        FASTER: f"faster than before by {inverse}{beside}",
        SAME: f"no difference that can be told: {factor} of the time{beside}",
        NOISY: f"too noisy to say: {factor} of the time{beside}",
        MORE: f"holds {change.times.value:.2f} times as much memory as before" if change.times else "",
        LESS: f"holds {change.times.value:.2f} of the memory it held before" if change.times else "",
        NEW: "new, nothing to compare with",
        GONE: "was measured before, and is not now",
    }
    return f"{title}: {said.get(change.kind) or f'{change.after}; before it {change.before}'}"


def _factors(times: Interval | None) -> tuple[str, str]:
    """How many times as much as before, and how many times as much before as now, with their intervals."""
    if times is None:
        return "", ""
    return tuple(
        f"{v:.2f} ({a:.2f} to {b:.2f})"
        for v, a, b in (  # type: ignore[return-value]
            (times.value, times.low, times.high),
            (1 / times.value, 1 / times.high, 1 / times.low),
        )
    )
