"""The legal variants of the fake quantizer: said, they hold; unsaid, they are named."""

from __future__ import annotations

import pytest

from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CONTRACT = KNOWN.contracts["fake_quantize"]


@pytest.mark.parametrize("variant", CONTRACT.variants, ids=lambda v: v.name)
def test_a_declared_variant_holds_and_an_undeclared_one_does_not(variant) -> None:
    implementation = reference_executor(KNOWN.contracts, variant.edits)
    declared = Inspection(KNOWN, implementation, seed=1, cases=8, variants={"fake_quantize": variant.name})
    for claim in KNOWN.claims_of("fake_quantize"):
        verdict, _ = declared.bench.judge(CONTRACT, claim, shrink=False)
        assert verdict.status == Status.PASSED, f"{claim.name}: {verdict.message} {verdict.worst}"
    undeclared = Inspection(KNOWN, implementation, seed=1, cases=8)
    assert any(undeclared.bench.judge(CONTRACT, claim, shrink=False)[0].failing for claim in CONTRACT.claims)
