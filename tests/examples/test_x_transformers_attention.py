"""x-transformers' attention and linear biases keep the claims, in a small run of each."""

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

EXAMPLE = Path(__file__).parents[2] / "examples" / "x_transformers_attention.py"
KNOWN = load_catalogue()
WHAT = ("attention", "grouped_query_attention", "alibi")
QUICK = 4


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("x_transformers")
    return discover(str(EXAMPLE), KNOWN.contracts)


@pytest.mark.parametrize("component", WHAT)
def test_it_keeps_every_claim(found, component: str) -> None:
    """Every claim, over a few cases."""
    assert set(found.adapters) == set(WHAT)
    executor = Executor(found.name, found.adapters, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=1, cases=QUICK, variants=found.variants)
    for claim in KNOWN.claims_of(component):
        verdict, _ = inspection.bench.judge(KNOWN.contracts[component], claim, shrink=False)
        assert verdict.status in (Status.PASSED, Status.NOT_APPLICABLE), (
            f"{claim.name}: {verdict.message} {verdict.worst}"
        )


def test_the_order_of_its_groups_is_named(found) -> None:
    """Undeclared: its heads use group h % G where Llama's use h // (H / G)."""
    name = "grouped_query_attention"
    inspection = Inspection(KNOWN, Executor(found.name, found.adapters, KNOWN.contracts), seed=1)
    claim = next(claim for claim in KNOWN.claims_of(name) if claim.name == "heads_use_their_group")
    verdict = inspection.judge(name, claim)
    assert verdict.failing
    assert verdict.finding == (f"{name}.variant=tiled",)
