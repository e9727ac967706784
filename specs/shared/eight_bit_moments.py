"""How far AdamW with 8-bit moments may end from where AdamW with 32-bit moments ends."""

from __future__ import annotations

import torch

from harness.core.claim import Trial, Violation
from reference_model.adamw import adamw
from specs.shared.optimizers import gradients_of

STORED_ERROR = 0.0071
"""The error of a stored moment, as a fraction of the largest of its block: half the widest gap of the 8-bit dynamic
map, 0.0070313, and its look-up in float32. Evenly spaced codes lose less: 1/254."""
WIDEST_BLOCK = 2048
"""The largest block in use (bitsandbytes until 0.43). An outlier may reduce the accuracy of that many numbers."""


def exact_and_bound(trial: Trial, outliers: bool = False) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The parameters after 32-bit AdamW, and the largest error that 8-bit moments explain for each of their numbers.

    A stored moment has an error of at most STORED_ERROR times the largest of its block. The moving average passes the
    error on, and each step adds to it. The bound takes m^ / (sqrt(v^) + eps) at its worst within both errors. Blocks
    may have any size, so the largest is that of the whole tensor; with ``outliers``, that of the numbers after the
    first WIDEST_BLOCK.
    """
    build = trial.case.calls[0].arguments
    run = adamw(**build)
    bounds = [torch.zeros_like(param) for param in build["params"]]
    errors = [(0.0, 0.0) for _ in bounds]
    settings_of = {place: group for group in run.groups for place in group["params"]}
    counted = slice(WIDEST_BLOCK if outliers else 0, None)
    params = list(build["params"])
    for grads in gradients_of(trial.case):
        params = run.step(grads)
        for place, grad in enumerate(grads):
            if grad is None:
                continue
            group, first, second, t = settings_of[place], run.first[place], run.second[place], run.counts[place]
            beta_1, beta_2 = group["betas"]
            error_1 = _stored(errors[place][0] * beta_1, first, counted)
            error_2 = _stored(errors[place][1] * beta_2, second, counted)
            errors[place] = (error_1, error_2)
            least, root = (
                (second - error).clamp(min=0.0).div(1 - beta_2**t).sqrt() + group["eps"] for error in (error_2, 0.0)
            )
            mean = first / (1 - beta_1**t)
            bounds[place] += group["lr"] * (error_1 / (1 - beta_1**t) / least + mean.abs() * (1 / least - 1 / root))
    return params, bounds


def _stored(error: float, moment: torch.Tensor, counted: slice) -> float:
    """The error of a moment once it is stored: what it had before, and that of rounding it to a code."""
    return error + STORED_ERROR * (float(moment.abs().view(-1)[counted].max()) + error)


def within(
    found: list[torch.Tensor], exact: list[torch.Tensor], bounds: list[torch.Tensor], slack: float, what: str
) -> float:
    """The largest error in units of its bound; raises Violation above 1."""
    largest = 0.0
    for place, (actual, expected, bound) in enumerate(zip(found, exact, bounds, strict=True)):
        error = ((actual.double() - expected).abs() / (bound + slack)).reshape(-1).nan_to_num(nan=float("inf"))
        ratio = float(error.max()) if error.numel() else 0.0
        largest = max(largest, ratio)
        if ratio > 1:
            at = int(error.argmax())
            got, right = (float(tensor.reshape(-1)[at]) for tensor in (actual, expected))
            message = f"{what} it deviates from the 32-bit optimizer by more than 8-bit rounding explains"
            worst = f"out[{place}], number {at}, = {got:.6g}, expected {right:.6g}"
            raise Violation(message, worst=worst, error=ratio)
    return largest
