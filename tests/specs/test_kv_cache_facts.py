"""What is measured of a cache of keys and values."""

import pytest

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["kv_cache"]
MEMORY = next(measure for measure in CONTRACT.measures if measure.name == "memory")


def test_the_memory_of_the_reference_is_as_computed() -> None:
    """2 x width numbers of eight bytes for every position of every row, and no more; it grows with the sequence."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1).bench.measure(CONTRACT, MEMORY)
    assert fact is not None
    assert fact.value == pytest.approx(2 * 24 * 8)
    assert "grows with the sequence" in fact.sentence
    assert "17,664 bytes, exactly the 17,664 that keys and values need" in fact.sentence
    assert (fact.component, fact.name) == ("kv_cache", "memory")
