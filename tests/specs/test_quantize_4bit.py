"""What the sheet of the four-bit quantizer measures, and its legal variants."""

from __future__ import annotations

import pytest

from harness.core.mistake import applied
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["quantize_4bit"]


def test_memory_is_measured() -> None:
    """4 bits and a float32 per block; a quarter of that with double quantization."""
    bench = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1, cases=2).bench
    fact = bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None and fact.value == 4.5
    assert fact.series["blocks of 128"] == 4.25
    assert 4.12 < fact.series["blocks of 64, double quantization"] < 4.13


def test_memory_beside_bitsandbytes() -> None:
    """The same, and 1 KB of code books, which count for a weight of 65,536 numbers."""
    functional = pytest.importorskip("bitsandbytes.functional")

    class FoundParameter:
        def quantize(self, x, block=64, kind="nf4", double=False):
            return functional.quantize_4bit(x, blocksize=block, quant_type=kind, compress_statistics=double)

        def dequantize(self, packed, scale, shape, *_):
            return functional.dequantize_4bit(packed, scale)

    executor = Executor("bitsandbytes", {"quantize_4bit": ClassAdapter(FoundParameter)}, KNOWN.contracts)
    fact = Inspection(KNOWN, executor, seed=1, cases=2).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None and fact.value == pytest.approx(4.5, abs=0.02)
    assert 4.1 < fact.series["blocks of 64, double quantization"] < 4.3


@pytest.mark.parametrize("variant", [v.name for v in CONTRACT.variants])
def test_a_declared_variant_holds_and_an_undeclared_one_is_named(variant: str) -> None:
    """As a storage format it is another one, so it must be said; said, it is right."""
    edits = next(v for v in CONTRACT.variants if v.name == variant).edits
    implementation = reference_executor(KNOWN.contracts, edits)
    declared = Inspection(KNOWN, implementation, seed=1, cases=8, variants={"quantize_4bit": variant})
    for claim in KNOWN.claims_of("quantize_4bit"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert verdict.status == Status.PASSED, f"{claim.name}: {verdict.message} {verdict.worst}"
    undeclared = Inspection(KNOWN, implementation, seed=1, cases=24)
    broken = [
        claim.name for claim in CONTRACT.claims if undeclared.bench.judge(CONTRACT, claim, shrink=False)[0].failing
    ]
    assert broken


def test_applying_a_variant_does_not_change_the_codebooks_of_the_sheet() -> None:
    """The published codebooks are written down apart from the reference."""
    import specs.shared.four_bit as sheet

    before = sheet.FP4
    with applied(CONTRACT.variants[1].edits):
        assert before == sheet.FP4
