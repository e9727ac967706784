"""A backward pass of one's own may lose digits in float32 alone: its gradients are judged there too."""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request
from harness.numerics.compare import compare
from harness.numerics.tolerance import magnitude

FLOOR = 2e-4
"""Relative to the largest number of a gradient. Sums in another order lose less in float32; bfloat16 loses 4e-3."""


def gradients_accurate_in_float32(trial: Trial) -> None:
    if trial.dtype == torch.float32 or not _is_right_in_float64(trial):
        trial.not_applicable()  # all its gradients are judged in float32, or are wrong by their meaning
    exact, tolerance = trial.agreement(dtype=torch.float32, gradients=True)
    answer = trial.run(dtype=torch.float32, gradients=True)
    for name, expected in exact.gradients.items():
        actual = answer.gradients.get(name)
        if expected is None or actual is None:
            continue  # whether a gradient arrives at all is a claim of its own
        bound = tolerance.gradients[name] + FLOOR * magnitude(expected)
        trial.close(actual, expected, bound, f"the float32 gradient of {name}")


def _is_right_in_float64(trial: Trial) -> bool:
    exact, tolerance = trial.agreement(gradients=True)
    found = trial.run(gradients=True).gradients
    return all(
        compare(found[name], expected, tolerance.gradients[name]).fine
        for name, expected in exact.gradients.items()
        if expected is not None and found.get(name) is not None
    )


def loses_digits_on_the_way_back(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    def rounded(out: torch.Tensor) -> torch.Tensor:
        if out.dtype == torch.float32 and out.requires_grad:
            out.register_hook(lambda gradient: gradient.bfloat16().float())
        return out

    return _sabotage.floats(call(arguments), rounded)


CLAIM = Claim(
    "gradients_accurate_in_float32",
    "in float32 its gradients are as accurate as the reference's",
    gradients_accurate_in_float32,
    needs=lambda contract: contract.agrees and contract.differentiable,
    sabotage=loses_digits_on_the_way_back,
    max_cases=8,
    about=frozenset({About.GRADIENT, About.ROUNDING}),
)
