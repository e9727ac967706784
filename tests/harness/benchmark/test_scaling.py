"""Exponents of costs whose exponent is known: noise, load, offsets, and what is said of them."""

from __future__ import annotations

import numpy
import pytest

from harness.benchmark.scaling import LEAST_SIZES, exponent, slope_at_the_end, told
from harness.benchmark.timing import Rounds
from harness.core.workload import Interval
from harness.numerics.statistics import binomial_two_sided

SIZES = (64, 128, 256, 512, 1024, 2048)
COSTS = {
    "quadratic": (lambda n: n**2, 2.0),
    "quadratic with an offset": (lambda n: n**2 + 300**2, 2.0),
    "linear with a large offset": (lambda n: n + 1000, 1.0),
    "cubic": (lambda n: n**3, 3.0),
    "constant": (lambda n: 5.0, 0.0),
}


def measured(
    draw: numpy.random.Generator, cost, sizes=SIZES, rounds=15, noise=0.05, outliers=0.0, drift=0.2
) -> list[Rounds]:
    """Times as a drifting machine gives them: the load of a round is common to all sizes."""
    load = numpy.exp(numpy.cumsum(draw.normal(0, drift, rounds)))
    found = []
    for size in sizes:
        times = cost(size) * load * numpy.exp(draw.normal(0, noise, rounds))
        times *= numpy.where(draw.random(rounds) < outliers, 1 + draw.exponential(1.0, rounds), 1.0)
        found.append(Rounds(tuple(times)))
    return found


@pytest.mark.parametrize("outliers", [0.0, 0.1], ids=["calm", "outliers"])
@pytest.mark.parametrize("rounds", [7, 30])
@pytest.mark.parametrize("name", COSTS)
def test_the_interval_of_an_exponent_holds_the_true_one(name: str, rounds: int, outliers: float) -> None:
    """200 simulated measurements on a drifting machine: no fewer than 93 % of the intervals hold the true exponent.

    Of 1000 each, 93.2 % to 99 % did. A true coverage of 93 % would fail this for one seed in a million.
    """
    cost, true = COSTS[name]
    draw = numpy.random.default_rng(7)
    found = [exponent(SIZES, measured(draw, cost, rounds=rounds, outliers=outliers)) for _ in range(200)]
    hits = sum(i.low <= true <= i.high for i in found)
    assert hits >= 0.93 * 200 or binomial_two_sided(hits, 200, 0.93) > 2e-6
    assert numpy.median([i.value for i in found]) == pytest.approx(true, abs=0.03)
    assert numpy.median([i.high - i.low for i in found]) < 0.7


def test_a_cubic_variant_is_told_from_the_law_and_a_right_one_is_not() -> None:
    """Of 100 noisy measurements each, every cubic one is named and no quadratic one is."""
    draw = numpy.random.default_rng(11)
    for _ in range(100):
        cubic = told(exponent(SIZES, measured(draw, lambda n: n**3 + 1e6, rounds=7)), 2.0)
        right = told(exponent(SIZES, measured(draw, lambda n: n**2 + 1e4, rounds=7)), 2.0)
        assert "cubic where the law is 2" in cubic and right.endswith("as it should")


def test_the_load_of_a_round_is_no_noise() -> None:
    """A machine that is four times as slow in half the rounds leaves the interval as narrow as a quiet one."""
    quiet = exponent(SIZES, measured(numpy.random.default_rng(1), lambda n: n**2, drift=0.0))
    drifting = exponent(SIZES, measured(numpy.random.default_rng(1), lambda n: n**2, drift=1.5))
    assert drifting.high - drifting.low < 2 * (quiet.high - quiet.low)


def test_rounds_that_differ_in_number_are_fine() -> None:
    """A size at which something raised has fewer rounds; the exponent is that of what there is."""
    rounds = measured(numpy.random.default_rng(2), lambda n: n**2, rounds=20)
    rounds[-1] = Rounds(rounds[-1].seconds[:9], error="MemoryError: ")
    assert exponent(SIZES, rounds).low < 2 < exponent(SIZES, rounds).high
    rounds[0] = Rounds((), error="MemoryError: out of it")
    with pytest.raises(ValueError, match="out of it"):
        exponent(SIZES, rounds)


def test_numbers_without_noise_are_exact_and_lower_terms_widen_the_interval() -> None:
    """Bytes of a score matrix, plain and beside the result's: the second is no pure power, and the interval says so."""
    pure = exponent(SIZES, [float(n * n) for n in SIZES])
    assert pure.value == pytest.approx(2, abs=1e-6) and pure.high - pure.low < 1e-6
    mixed = exponent(SIZES, [float(n * n + 64 * n) for n in SIZES])
    assert 1.8 < mixed.value < 2 and 0.05 < mixed.high - mixed.low < 0.3
    assert told(pure, 2) == "grows like T^2.00, as it should"
    assert told(exponent(SIZES, [8.0 * n for n in SIZES]), 1) == "grows like T^1.00, as it should"
    assert told(exponent(SIZES, [4096.0] * 6), 0, "width") == "stays about the same: width^0.00, as it should"


def test_too_few_sizes_and_costs_that_are_none_are_refused() -> None:
    """The message has the sizes, or the costs."""
    with pytest.raises(ValueError, match=rf"{LEAST_SIZES} different positive sizes .* \[1, 2, 3\]"):
        exponent([1, 2, 3], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="positive numbers"):
        exponent(SIZES, [0.0] * 6)


def test_noise_beyond_telling_is_said() -> None:
    """With three rounds, or with a growth that drowns, there is nothing to say."""
    draw = numpy.random.default_rng(3)
    few = exponent(SIZES, measured(draw, lambda n: n**2, rounds=3))
    drowned = exponent(SIZES, measured(draw, lambda n: 1 + n / 10_000, rounds=7, noise=0.1, drift=0.0))
    assert few.noisy and told(few, 2.0).startswith("too uncertain to say")
    assert drowned.noisy or abs(drowned.value) < 0.25


def test_the_slope_at_the_end_needs_no_model() -> None:
    """Between the last two sizes: below the exponent where an offset is left, and 2 where none is."""
    draw = numpy.random.default_rng(4)
    pure = slope_at_the_end(SIZES, measured(draw, lambda n: n**2))
    offset = slope_at_the_end(SIZES, measured(draw, lambda n: n**2 + 2048**2))
    assert pure.low < 2 < pure.high and offset.high < 1.6 and not pure.noisy
    assert slope_at_the_end(SIZES, measured(draw, lambda n: n**2, rounds=3)).noisy


@pytest.mark.parametrize(
    ("interval", "law", "sentence"),
    [
        (Interval(1.97, 1.91, 2.04), 2.0, "grows like T^1.97 (1.91 to 2.04), as it should"),
        (Interval(1.97, 1.91, 2.04), None, "grows like T^1.97 (1.91 to 2.04)"),
        (Interval(2.9, 2.8, 3.0), 2.0, "grows like T^2.90 (2.80 to 3.00): cubic where the law is 2"),
        (Interval(2.6, 2.55, 2.7), 2.0, "grows like T^2.60 (2.55 to 2.70): faster than the law, T^2"),
        (Interval(1.0, 0.9, 1.1), 2.0, "grows like T^1.00 (0.90 to 1.10): less than the law, T^2, over this range"),
        (Interval(2.3, 1.9, 2.7), 2.0, "grows like T^2.30 (1.90 to 2.70), as it should"),
        (
            Interval(2.6, 2.4, 2.8),
            2.0,
            "grows like T^2.60 (2.40 to 2.80): a little faster than the law, T^2; "
            "caches that no longer hold the data can do that",
        ),
        (Interval(0.6, 0.48, 0.73), 1.0, "grows like T^0.60 (0.48 to 0.73): less than the law, T^1, over this range"),
        (Interval(1.6, 1.4, 2.1), 2.0, "grows like T^1.60 (1.40 to 2.10), as it should"),
        (Interval(1.9, 1.1, 2.7, noisy=True), 2.0, "too uncertain to say: between T^1.10 and T^2.70"),
        (Interval(1.0, 0.95, 1.05), 0.0, "grows like T^1.00 (0.95 to 1.05): linear where the law is 0"),
        (Interval(-0.001, -0.02, 0.03), 0.0, "stays about the same: T^0.00 (-0.02 to 0.03), as it should"),
    ],
)
def test_it_is_told_in_words(interval: Interval, law: float | None, sentence: str) -> None:
    """A whole law's word only near a whole number; slower than the law is never a reproach."""
    assert told(interval, law) == sentence
