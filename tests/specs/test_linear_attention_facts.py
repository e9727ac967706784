"""What is measured of attention by products of features."""

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["linear_attention"]


def test_the_cost_of_the_reference_grows_about_linearly() -> None:
    """Between nothing and a square: machines are noisy."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    assert fact.value is not None
    assert 0.2 < fact.value < 1.7
    assert len(fact.series) == 3
