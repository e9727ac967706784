"""Two runs beside each other: what is told, and how often a difference is told where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy

from harness.benchmark.comparing import FASTER, GONE, NEW, NOISY, SAME, SLOWER, compare, lines, quotient
from harness.benchmark.timing import Rounds, ratio
from harness.core.workload import Benchmark, Exponent, Interval, Ratio, Timing
from harness.numerics.statistics import binomial_two_sided

SIZES = {"time": 256}


def benchmark(*times: Interval, **changes) -> Benchmark:
    ratios = tuple(Ratio(f"mine {i}", "reference", SIZES, t) for i, t in enumerate(times))
    return replace(Benchmark("mlp", "forward", "It is timed.", ratios=ratios), **changes)


def test_slower_faster_same_and_noisy() -> None:
    """Each by hand, and what is slower stands first."""
    tight, wide = (lambda v: Interval(v, v / 1.03, v * 1.03)), Interval(1.4, 0.7, 2.8, noisy=True)
    changes = compare(
        [benchmark(tight(1.0), tight(2.0), tight(1.5), tight(1.0))],
        [benchmark(tight(1.31), tight(1.0), tight(1.5), wide)],
    )
    assert [c.kind for c in changes] == [SLOWER, FASTER, SAME, NOISY]
    told = lines(changes)
    assert told[0] == "mlp, forward, mine 0 (time 256): slower than before by 1.31 (1.26 to 1.37), beside reference"
    assert "mine 1 (time 256): faster than before by 2.00 (1.92 to 2.09), beside reference" in told[1]
    assert "too noisy to say" in told[2] and "no difference that can be told: 1.00 (0.96 to 1.04)" in told[3]


def test_what_is_new_or_gone_is_listed() -> None:
    """WholeModel workloads, and single contenders of one."""
    one = Interval(1.0, 0.99, 1.01)
    other = replace(benchmark(one), workload="backward")
    changes = compare([other, benchmark(one, one)], [benchmark(one), replace(benchmark(one), workload="decode")])
    assert {(c.workload, c.contender, c.kind) for c in changes} == {
        ("forward", "mine 0", SAME),
        ("forward", "mine 1", GONE),
        ("decode", "", NEW),
        ("backward", "", GONE),
    }
    assert "mlp, decode: new, nothing to compare with" in lines(changes)
    assert lines(compare([other], [benchmark(one)]))[-1] == "nothing was measured in both runs"


def test_memory_and_exponents_are_told_where_they_changed() -> None:
    """Twice the memory; quadratic for linear. The same again is not mentioned."""
    timing = Timing("mine", SIZES, 1.0, 0.9, 1.1, 9, peak_bytes=4096.0)
    grows = Exponent(
        "mine", "time", "time", Interval(1.0, 0.95, 1.05), 1.0, "grows like T^1.00 (0.95 to 1.05), as it should"
    )
    worse = replace(
        grows, value=Interval(2.0, 1.9, 2.1), told="grows like T^2.00 (1.90 to 2.10): quadratic where the law is 1"
    )
    old = benchmark(timings=(timing,), exponents=(grows,))
    assert compare([old], [old]) == []
    told = lines(compare([old], [benchmark(timings=(replace(timing, peak_bytes=8192.0),), exponents=(worse,))]))
    assert (
        "mlp, forward, mine: time grows like T^2.00 (1.90 to 2.10): quadratic where the law is 1; "
        "before it time grows like" in told[0]
    )
    assert told[1] == "mlp, forward, mine (time 256): holds 2.00 times as much memory as before"


def test_the_interval_of_a_change_holds_the_true_change() -> None:
    """1000 pairs of simulated runs, 15 rounds each on machines of different speed: at least 95 % hold the true
    quotient.

    A true coverage of 95 % would fail this for one seed in a million.
    """
    draw = numpy.random.default_rng(9)

    def run(true: float) -> Interval:
        load = draw.exponential(1.0) * numpy.exp(numpy.cumsum(draw.normal(0, 0.1, 15)))
        noise = numpy.exp(draw.normal(0, 0.04, (2, 15)))
        return ratio(Rounds(tuple(load * noise[0] * true)), Rounds(tuple(load * noise[1])))

    hits = 0
    for _ in range(1000):
        found = quotient(run(1.8), run(1.2))
        hits += found.low <= 1.5 <= found.high
    assert hits >= 950 or binomial_two_sided(hits, 1000, 0.95) > 2e-6
