"""What is measured of attention through projections along time."""

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["low_rank_attention"]


def test_the_gradients_of_the_reference_vary_more_the_smaller_the_rank() -> None:
    """Projections of variance 1/R: the fewer mixtures, the larger each weight, and the gradient with it."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    values = [fact.series[f"v, rank {rank}"] for rank in (4, 16, 64)]
    assert values == sorted(values, reverse=True)
    assert all(value > 0 for value in fact.series.values())
    assert fact.sentence.startswith("the mean squared gradient of the values") and "noise" in fact.sentence
