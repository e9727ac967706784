"""What the sheet of the int8 layer measures, and its legal variant."""

from __future__ import annotations

import pytest

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["int8_linear"]


def test_memory_is_measured() -> None:
    """One byte a weight, and a float32 for each row of 512."""
    fact = Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=1, cases=2).bench.measure(
        CONTRACT, CONTRACT.measures[0]
    )
    assert fact is not None and fact.value == 1 + 4 / 512


def test_memory_beside_bitsandbytes() -> None:
    """Linear8bitLt holds the same, and its bias."""
    nn = pytest.importorskip("bitsandbytes.nn")

    class FoundParameter:
        def __init__(self, weight, bias=None, threshold=6.0):
            self.layer = nn.Linear8bitLt(weight.shape[1], weight.shape[0], bias is not None, False, threshold)
            self.layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
            self.layer.to("cpu")

        def forward(self, x):
            return self.layer(x)

    executor = Executor("bitsandbytes", {"int8_linear": ClassAdapter(FoundParameter)}, KNOWN.contracts)
    fact = Inspection(KNOWN, executor, seed=1, cases=2).bench.measure(CONTRACT, CONTRACT.measures[0])
    assert fact is not None and 1 <= fact.value <= 1.02


def test_the_declared_variant_holds_and_the_undeclared_one_does_not() -> None:
    """A threshold of 0 that means none."""
    (variant,) = CONTRACT.variants
    implementation = reference_executor(KNOWN.contracts, variant.edits)
    declared = Inspection(KNOWN, implementation, seed=1, cases=8, variants={"int8_linear": variant.name})
    for claim in KNOWN.claims_of("int8_linear"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert verdict.status == Status.PASSED, f"{claim.name}: {verdict.message} {verdict.worst}"
    undeclared = Inspection(KNOWN, implementation, seed=1, cases=8)
    claims = {claim.name: claim for claim in CONTRACT.claims}
    verdict, _ = undeclared.bench.judge(CONTRACT, claims["zero_threshold_leaves_x_unrounded"], shrink=False)
    assert verdict.failing
