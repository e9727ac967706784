"""Checks of the distribution of the next id."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation
from specs.shared.attention import output
from specs.shared.sampling import FREE


def asked(trial: Trial, **arguments: Any) -> Case:
    """The case's logits with these settings alone."""
    return trial.case.changed(**{**FREE, **arguments})


def require_all_on_the_largest(trial: Trial, case: Case, what: str) -> None:
    """The probability of the largest logit is 1, all others are 0."""
    logits = trial.case.arguments["logits"]
    expected = torch.zeros_like(logits, dtype=trial.dtype).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    trial.close(output(trial, case), expected, 8 * torch.finfo(trial.dtype).eps, what)


def require_one_id_at_tiny_top_p(trial: Trial) -> None:
    """Also where 1 - p rounds to 1: for 1e-3 in bfloat16, for 1e-8 in float32."""
    logits, tried, refused = trial.case.arguments["logits"], 0, ""
    for dtype in (trial.dtype, torch.float32, torch.bfloat16, torch.float16):
        for top_p in (1e-3,) if dtype.itemsize == 2 else (1e-3, 1e-8):
            case = asked(trial, top_p=top_p)
            answer = trial.attempt(case, dtype=dtype)
            if answer.crash is not None and dtype in (torch.bfloat16, torch.float16):
                refused = answer.crash.error
                continue
            value = trial.run(case, dtype=dtype).value.float()
            tried += 1
            where = str(dtype).removeprefix("torch.")
            if not bool(torch.isfinite(value).all()):
                raise Violation(f"with top_p = {top_p:g} in {where} no id is kept: the probabilities are NaN")
            best = logits.to(dtype).float().argmax(-1)
            if bool((value.gather(-1, best[:, None]) < 0.99).any()):
                raise Violation(f"with top_p = {top_p:g} in {where} the most likely id is not the one kept")
    if not tried:
        raise NotSupported(f"it raises {refused}")


def require_k_ids_at_ties(trial: Trial) -> None:
    """Ids more likely than the k-th are kept, less likely ones are not, and enough of those that tie with it are."""
    logits, top_k = trial.case.arguments["logits"], trial.case.arguments["top_k"]
    value = output(trial)
    if not bool(torch.isfinite(value).all()):
        raise Violation("where several ids tie with the k-th, no id is kept: the probabilities are NaN")
    least = logits.topk(top_k, -1).values[..., -1:]
    kept = value > 0
    if bool((kept & (logits < least)).any()):
        raise Violation(f"an id less likely than the one ranked {top_k} is kept")
    if bool((~kept & (logits > least)).any()):
        raise Violation(f"an id more likely than the one ranked {top_k} is dropped")
    if bool((kept.sum(-1) < top_k).any()):
        raise Violation(f"fewer than {top_k} ids are kept: those that tie at rank {top_k} are dropped")
