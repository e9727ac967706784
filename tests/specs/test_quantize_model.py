"""What the sheet of the quantized model measures."""

from __future__ import annotations

from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["quantize_model"]
MEASURES = {measure.name: measure for measure in CONTRACT.measures}
BENCH = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1, cases=2).bench


def test_memory_by_bits() -> None:
    """Codes of exactly that many bits, and a scale for each row of 64 or 256."""
    fact = BENCH.measure(CONTRACT, MEASURES["memory"])
    assert fact is not None
    for bits in (8, 4, 3, 2):
        assert bits < fact.series[f"{bits} bits"] < bits + 0.5
    assert fact.value is not None and fact.value < 0.4


def test_sensitivity_says_why_norms_are_left_alone() -> None:
    """For the memory that they save, the norms cost tens of times what the matrices do."""
    fact = BENCH.measure(CONTRACT, MEASURES["sensitivity"])
    assert fact is not None and set(fact.series) == {"attention", "mlp", "norms", "embeddings"}
    assert all(0 < error < 1 for error in fact.series.values())
    assert fact.value is not None and fact.value > 3


def test_the_error_grows_with_depth() -> None:
    """Slower than the number of layers."""
    fact = BENCH.measure(CONTRACT, MEASURES["error_by_depth"])
    assert fact is not None and fact.value is not None
    assert 0.0 < fact.value < 1.2
    assert fact.series["8 layers"] > fact.series["1 layers"]
