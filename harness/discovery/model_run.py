"""One run of a found model, which shows what each module inside it is called with."""

from __future__ import annotations

import torch

from harness.core.case import Case
from harness.core.contract import Contract
from harness.execution.time_limit import TimedOut
from harness.modules.first_calls import BATCH, TIME, first_calls
from harness.modules.found_class import FoundModule
from harness.modules.probing import trial_call
from harness.modules.submodules import Model
from harness.modules.telling_cases import telling_cases

MOST_RUNS = 6
"""Sizes at which a model is run that raises."""
SHORT_SECONDS = 1.0
"""Processor seconds for a model whose forward is known not to end: what it calls before that is seen at once."""


def run_once(adapter: FoundModule, seconds: float) -> Model | None:
    """The model of the first case at whose sizes it can be built and runs; None where it can be built at none.

    Where it raises at the sizes of the first few (a head of odd size cannot be rotated in pairs), that of the case in
    which most was called. What was called before an error, or within ``seconds`` of processor time, is seen.
    """
    best: Model | None = None
    built = 0
    for case in telling_cases(adapter.contract):
        try:
            made = adapter.trial(case.arguments)
        except (Exception, TimedOut):
            continue
        inputs = _inputs(adapter.contract, case)
        limit = seconds if adapter.timed_out is None else min(seconds, SHORT_SECONDS)
        has_run, built = True, built + 1
        with first_calls(made.inner) as seen:
            try:
                trial_call("calling", adapter.source, limit, made, *inputs.values())
            except TimedOut:
                built = MOST_RUNS
            except Exception:
                has_run = False
        if best is None or len(seen) > len(best.calls):
            best = Model(made.inner, seen, inputs)
        if has_run or built >= MOST_RUNS:
            break
    return best


def _inputs(contract: Contract, case: Case) -> dict[str, torch.Tensor]:
    """Inputs of a run, with a batch and a time that differ, and ids that are no positions."""
    found: dict[str, torch.Tensor] = {}
    for a in next(iter(contract.calls.values())).arguments:
        value = case.arguments.get(a.name)
        if a.role != "input" or not torch.is_tensor(value):
            continue
        if a.holds_integers:
            found[a.name] = torch.tensor([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]])[:BATCH, :TIME]
        else:
            generator = torch.Generator().manual_seed(1)
            found[a.name] = torch.randn(BATCH, TIME, value.shape[-1], generator=generator).to(value.dtype)
    return found
