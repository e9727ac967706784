"""A pass that no case could have told from a failure is barely a pass; what was refused is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.core.claim import About, NotSupported
from harness.core.quorum import Quorum, at_least
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
REFERENCE = reference_executor(KNOWN.contracts)
ONE_AXIS = Executor("mine", {"softmax": FunctionAdapter(lambda x: x.softmax(-1))}, KNOWN.contracts)
"""It takes no other axis."""


AGREES = KNOWN.claims["agrees_with_the_reference"]


def test_all_cases_are_a_pass() -> None:
    """Nothing is refused, so that nothing is missing."""
    judged = Inspection(KNOWN, REFERENCE, cases=4)
    assert judged.judge("softmax", AGREES).status is Status.PASSED
    assert not judged.bench.generated.given["softmax"].refused


def one_length(x, dim=-1):
    """It takes one length of four axes alone, which few cases have."""
    if x.shape[dim] != 5 or x.dim() != 4:
        raise NotSupported("its size is not 5")
    return x.softmax(dim)


def test_few_of_many_cases_are_barely_a_pass() -> None:
    """The row does not say passed, and says how many cases were refused, and why."""
    few = Executor("mine", {"softmax": FunctionAdapter(one_length)}, KNOWN.contracts)
    judged = Inspection(KNOWN, few, cases=12)
    found, given = judged.judge("softmax", AGREES), judged.bench.generated.given["softmax"]
    assert 0 < len(given.given) < 12
    assert found.status is Status.BARELY_CHECKED and not found.failing
    assert found.message == f"only {len(given.given)} of {len(given.generated)} cases could be given: its size is not 5"
    assert given.reasons() == {"its size is not 5": len(given.generated) - len(given.given)}


def test_cases_that_cannot_tell_are_barely_a_pass() -> None:
    """Where the cases that could are refused."""
    contract = replace(KNOWN.contracts["softmax"], quorum=(Quorum("a thousand rows", lambda case: False),))
    judged = Inspection(replace(KNOWN, contracts={**KNOWN.contracts, "softmax": contract}), ONE_AXIS)
    claims = {claim.name: claim for claim in KNOWN.claims_of("softmax")}
    found = judged.bench.judge(contract, claims["agrees_with_the_reference"], shrink=False)[0]
    assert found.status is Status.BARELY_CHECKED and "a thousand rows" in found.message
    assert judged.bench.judge(contract, claims["deterministic"], shrink=False)[0].status is Status.PASSED


@pytest.mark.parametrize("component", [name for name, contract in KNOWN.contracts.items() if contract.quorum])
def test_the_cases_of_every_sheet_can_tell(component: str) -> None:
    """What a sheet asks for is among its own cases."""
    contract = KNOWN.contracts[component]
    cases = Inspection(KNOWN, REFERENCE).bench.generated._generate(contract, contract.cases, (component, ""), 40)
    for quorum in contract.quorum:
        assert any(map(quorum.tells, cases)), quorum.case


@pytest.mark.parametrize("name", ["is_causal", "prefix_consistent", "jacobian_is_causal"])
def test_claims_about_the_future_need_three_positions(name: str) -> None:
    """A size that a case does not name is no hindrance."""
    (quorum,) = KNOWN.claims[name].quorum
    contract = KNOWN.contracts["attention"]
    cases = Inspection(KNOWN, REFERENCE).bench.generated._generate(contract, contract.cases, ("attention", ""), 20)
    assert {case.dimensions["time"] >= 3 for case in cases if quorum.tells(case)} == {True}
    assert at_least("any", nothing=9).tells(cases[0]) and About.CONSISTENCY in KNOWN.claims[name].about
