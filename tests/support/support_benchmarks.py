"""Benchmarks as the reports get them: one measured here and now in miniature, and one with everything that can be
wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from support_records import NASTY

from harness.benchmark.machine import describe
from harness.benchmark.memory import peak_bytes
from harness.benchmark.scaling import exponent, told
from harness.benchmark.timing import Contender, interleaved, ratio, summary
from harness.core.workload import Benchmark, Exponent, Interval, Ratio, Timing

SIZES = (16, 32, 64, 128)
MACHINE = describe(torch.float32)


def miniature() -> Benchmark:
    """Sums over pairs and over numbers, really timed, for a few milliseconds."""
    pairs, plain = (lambda x: (x[:, None] * x).sum(), lambda x: x.sum())
    calls: dict[tuple[str, int], Callable[[], Any]] = {
        (name, n): partial(call, torch.ones(8 * n))
        for name, call in (("yours", pairs), ("reference", plain))
        for n in SIZES
    }
    rounds = interleaved([Contender(f"{who} {n}", lambda call=call: call) for (who, n), call in calls.items()], 0.1)
    timings = []
    for (who, n), call in calls.items():
        one = rounds[f"{who} {n}"]
        median, lower, upper = summary(one)
        timings.append(Timing(who, {"T": n, "B": 2}, median, lower, upper, len(one.seconds), peak_bytes(call)))
    grown = exponent(SIZES, [rounds[f"yours {n}"] for n in SIZES])
    held = exponent(SIZES, [t.peak_bytes for t in timings if t.contender == "yours" and t.peak_bytes])
    usual = {"T": SIZES[-1], "B": 2}
    return Benchmark(
        "part",
        "all_pairs",
        "The sum over all pairs.",
        tuple(timings),
        (Ratio("yours", "reference", usual, ratio(rounds[f"yours {SIZES[-1]}"], rounds[f"reference {SIZES[-1]}"])),),
        (
            Exponent("yours", "T", "time", grown, 2.0, told(grown, 2.0)),
            Exponent("yours", "T", "memory", held, 2.0, told(held, 2.0)),
        ),
        {"yours": 1.5e6, "reference": 2e9},
        "pairs",
    )


def timing(who: str, median: float, size: int = 256, **values: Any) -> Timing:
    return Timing(who, {"T": size}, median, 0.9 * median, 1.2 * median, 21, **values)


DOUBTFUL = Benchmark(
    "whole",
    "forward_backward",
    NASTY,
    (
        timing("yours", 1.5e-3, peak_bytes=3.5 * 2**20, share_of_roofline=0.31),
        timing(NASTY, 2e-6, share_of_roofline=7.0),
        timing("reference", 2.0),
        timing("yours", 1e-4, 64),
        timing("yours", 12e-3, 512),
        timing("yours", 0.1, 1024),
    ),
    (
        Ratio("yours", "reference", {"T": 256}, Interval(0.00075, 0.0007, 0.0008)),
        Ratio("yours", NASTY, {"T": 256}, Interval(750.0, 0.5, 2000.0, noisy=True)),
    ),
    (
        Exponent(
            "yours",
            "T",
            "time",
            Interval(2.9, 2.8, 3.0),
            2.0,
            "grows like T^2.90 (2.80 to 3.00): cubic where the law is 2",
        ),
        Exponent("reference", "T", "time", Interval(1.0, -1.0, 3.0, noisy=True), 2.0, "too uncertain to say"),
    ),
    {"yours": 195_312.5},
    "tokens",
    {NASTY: "out[0, 3], 12 times the tolerance"},
    (NASTY,),
)
"""A wrong one, a noisy ratio, one beyond the roof, one that grows too fast, and words that are markup elsewhere."""
BARE = Benchmark("other", "forward", "Nothing came of it.", notes=("not timed: mine has no other",))
