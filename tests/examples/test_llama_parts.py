"""Llama's parts in transformers keep the claims, in a small run of each."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

EXAMPLE = Path(__file__).parents[2] / "examples" / "llama_parts.py"
KNOWN = load_catalogue()
WHAT = ("grouped_query_attention", "rms_norm", "rope", "swiglu")
QUICK = 4


@pytest.mark.parametrize("component", WHAT)
def test_a_part_of_llama_keeps_every_claim(component: str) -> None:
    """Every claim, over a few cases."""
    pytest.importorskip("transformers")
    found = discover(str(EXAMPLE), KNOWN.contracts)
    assert set(found.adapters) == set(WHAT)
    executor = Executor(found.name, found.adapters, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=1, cases=QUICK, variants=found.variants)
    for claim in KNOWN.claims_of(component):
        verdict, _ = inspection.bench.judge(KNOWN.contracts[component], claim, shrink=False)
        assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), (
            f"{claim.name}: {verdict.message} {verdict.worst}"
        )
