"""What is measured of attention by products of features."""

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from specs.linear_attention import _beside_the_claim

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["linear_attention"]


def test_the_cost_of_the_reference_grows_about_linearly() -> None:
    """Between nothing and a square: machines are noisy."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    assert fact.value is not None
    assert 0.2 < fact.value < 1.7
    assert len(fact.series) == 3


def test_an_exponent_is_told_beside_the_one_that_is_claimed() -> None:
    """A busy machine or fixed costs move it; only an exponent near 1 is called as claimed."""
    said = {power: _beside_the_claim(power) for power in (0.5, 1.0, 1.5, 2.0)}
    assert said[1.0] == "as claimed (T)" and "not the T" in said[2.0]
    assert len(set(said.values())) == 4
