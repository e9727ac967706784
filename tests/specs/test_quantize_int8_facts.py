"""What the sheet of the int8 quantizer measures, of the reference and of bitsandbytes."""

from __future__ import annotations

import pytest

from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["quantize_int8"]


def test_memory_is_measured() -> None:
    """Eight bits; a float32 scale and an int32 zero point for each row or block beside them."""
    bench = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1, cases=2).bench
    fact = bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    assert fact.value == 8 + 64 / 512
    assert fact.series["blocks of 64"] == 9
    assert fact.series["the whole tensor"] == pytest.approx(8, abs=1e-3)


def test_memory_beside_bitsandbytes() -> None:
    """Rows: a float32 each. Blocks: a float32 each, and the code book of the 8-bit map."""
    functional = pytest.importorskip("bitsandbytes.functional")

    class FoundParameter:
        def quantize(self, x, axis=None, block=None):
            x = x.float()
            if block is not None:
                codes, state = functional.quantize_blockwise(x, blocksize=block)
                return codes, state, None
            codes, largest, _ = functional.int8_vectorwise_quant(x.reshape(1, -1) if axis is None else x)
            return codes, largest, None

        def dequantize(self, q, scale, zero, block=None):
            return functional.dequantize_blockwise(q, scale) if block is not None else q * scale.reshape(-1, 1) / 127

    executor = Executor("bitsandbytes", {"quantize_int8": ClassAdapter(FoundParameter)}, KNOWN.contracts)
    fact = Inspection(KNOWN, executor, seed=1, cases=2).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None
    assert fact.value == 8 + 32 / 512
    assert 8.5 <= fact.series["blocks of 64"] < 8.6
