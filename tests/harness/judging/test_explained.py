"""A component that a finding explains: its other claims fail as they would, on as few cases as tell that."""

import pytest
import torch

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.evidence import EVIDENCE_CASES
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()
CASES = 20


def eps_outside(x, weight, bias, eps):
    y = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, unbiased=False) + eps) * weight
    return y if bias is None else y + bias


def eps_outside_and_no_gradient_of_the_bias(x, weight, bias, eps):
    return eps_outside(x, weight, None if bias is None else bias.detach(), eps)


def inspected(function):
    executor = Executor("theirs", {"layer_norm": FunctionAdapter(function)}, KNOWN.contracts)
    return Inspection(KNOWN, executor, seed=1, cases=CASES)


@pytest.fixture(scope="module")
def verdicts():
    inspection = inspected(eps_outside)
    return {c.name: inspection.judge("layer_norm", c) for c in KNOWN.claims_of("layer_norm")}


def test_the_claim_that_failed_first_is_judged_on_all_cases(verdicts):
    first = verdicts["agrees_with_the_reference"]
    assert first.failing and first.cases == CASES and not first.explained_by


def test_a_claim_that_fails_for_the_same_reason_stops_when_that_is_known(verdicts):
    short = [v for v in verdicts.values() if v.explained_by]
    assert {"gradients_agree", "accurate_in_float32"} <= {v.claim for v in short}
    for verdict in short:
        assert verdict.failing and verdict.finding == ("layer_norm.eps_outside_the_root",)
        assert verdict.explained_by == "agrees_with_the_reference" and verdict.failed_cases == EVIDENCE_CASES


def test_every_status_is_as_if_judged_on_all_cases(verdicts):
    """Without a finding every claim is judged on all its cases."""
    inspection = inspected(eps_outside)
    inspection.explain = lambda *_: None
    whole = {c.name: inspection.judge("layer_norm", c) for c in KNOWN.claims_of("layer_norm")}
    assert {n: v.status for n, v in whole.items()} == {n: v.status for n, v in verdicts.items()}
    assert sum(v.status is Status.FAILED for v in whole.values()) >= 4
    assert not any(v.explained_by for v in whole.values())


def test_a_claim_that_fails_for_another_reason_is_judged_on_all_cases():
    inspection = inspected(eps_outside_and_no_gradient_of_the_bias)
    for claim in KNOWN.claims_of("layer_norm"):
        verdict = inspection.judge("layer_norm", claim)
        if claim.name == "every_argument_receives_a_gradient":
            assert verdict.failing and not verdict.explained_by and "bias" in verdict.message
            assert verdict.cases > EVIDENCE_CASES
            return
    raise AssertionError(f"no such claim; {torch.__version__}")
