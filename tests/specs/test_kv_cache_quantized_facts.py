"""What is measured of a cache of keys and values in a few bits."""

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["kv_cache_quantized"]


def test_the_reference_takes_about_five_times_less_memory_in_three_bits() -> None:
    """16 bits over 3, and two 16-bit numbers for every 128 features."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    assert fact.value is not None
    assert abs(fact.value - 16 / (3 + 32 / 128)) < 0.01
    assert fact.series["8 bits"] < fact.series["4 bits"] < fact.series["3 bits"] < fact.series["2 bits"]
