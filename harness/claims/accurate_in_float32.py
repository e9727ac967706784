"""Rounding: in float32 it loses no more than a small multiple of what the reference itself loses on that very case."""

import torch

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def rounds(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    trial.close(trial.run(dtype=torch.float32).outputs, exact.outputs, tolerance.outputs, "out")


def loses_digits(call, method, arguments, request):
    return _sabotage.floats(call(arguments), lambda out: out.bfloat16().float() if out.dtype == torch.float32 else out)


CLAIM = Claim(
    "accurate_in_float32",
    "in float32 it is as accurate as the reference",
    rounds,
    needs=lambda contract: contract.agrees and contract.differentiable,
    sabotage=loses_digits,
    aliases=("rounds_like_the_reference_in_float32",),
    about=frozenset({About.ROUNDING}),
)
