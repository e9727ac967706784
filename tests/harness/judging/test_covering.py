"""Of several names as few as explain all are told, and none that the printed case refutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.core.record import Status, Verdict
from harness.diagnosis.finding import Finding
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.evidence import EVIDENCE_CASES
from harness.judging.inspection import Inspection
from harness.reports.groups import with_covered

KNOWN = load_catalogue()


def inspected(component: str, function: Callable[..., Any], cases: int = 8) -> Inspection:
    executor = Executor("mine", {component: FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=1, cases=cases)
    inspection.bench.smaller = lambda contract, claim, verdict: verdict  # type: ignore[method-assign]
    return inspection


def judged(inspection: Inspection, component: str, *claims: str) -> list[Verdict]:
    known = {claim.name: claim for claim in KNOWN.claims_of(component)}
    return [inspection.judge(component, known[name]) for name in claims]


def lm_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> torch.Tensor:
    """Of half the logits, which shows in the term of the z-loss too."""
    kept = targets.reshape(-1) != ignore_index
    chosen, ids = logits.reshape(-1, logits.shape[-1])[kept] / 2, targets.reshape(-1)[kept]
    if not len(ids):
        return logits.sum() * 0.0
    total = chosen.logsumexp(-1)
    picked = total - chosen.gather(-1, ids[:, None])[:, 0]
    smooth = total - chosen.mean(-1)
    return ((1 - label_smoothing) * picked + label_smoothing * smooth + z_loss * total**2).mean()


def test_a_finding_that_explains_what_was_found_before_takes_its_place() -> None:
    inspection = inspected("lm_loss", lm_loss, 5)
    first, last = judged(inspection, "lm_loss", "agrees_with_the_reference", "z_loss_at_counted_targets")
    assert last.finding == ("lm_loss.logits_times_0.5",)
    assert first.finding == last.finding or first.claim in last.covers
    assert {v.finding for v in with_covered([first, last])} == {last.finding}


def halved(x: Any, weight: Any, bias: Any, eps: Any) -> Any:
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight
    return (y if bias is None else y + bias) / 2


@pytest.mark.parametrize("name", ["layer_norm.eps_outside_the_root", "layer_norm.bias_forgotten"])
def test_a_name_that_the_printed_case_refutes_is_not_told(name: str) -> None:
    """Whatever the search says at first; what refutes it is kept, so that it is not said again."""
    inspection = inspected("layer_norm", halved)
    told, search = Finding((KNOWN.mistake(name),)), inspection.diagnostician.explain
    answers = [told, told]
    inspection.diagnostician.explain = lambda *rest: answers.pop() if answers else search(*rest)  # type: ignore[method-assign]
    (verdict,) = judged(inspection, "layer_norm", "agrees_with_the_reference")
    assert verdict.status is Status.FAILED and verdict.finding == ("layer_norm.output_times_0.5",)
    assert inspection.names.against["layer_norm"]


def test_whether_it_stopped_early_is_told_by_the_count_of_cases_not_guessed() -> None:
    """Six cases that all fail are six cases, not the first six of more."""
    inspection = inspected("layer_norm", halved, EVIDENCE_CASES)
    known = {claim.name: claim for claim in KNOWN.claims_of("layer_norm")}
    contract = KNOWN.contracts["layer_norm"]
    claim = known["agrees_with_the_reference"]
    whole = inspection.bench.judge(contract, claim, shrink=False, enough=EVIDENCE_CASES)[0]
    part = inspection.bench.judge(contract, claim, shrink=False, enough=2)[0]
    assert whole.failed_cases == EVIDENCE_CASES and not whole.stopped_early
    assert part.failed_cases == 2 and part.stopped_early
