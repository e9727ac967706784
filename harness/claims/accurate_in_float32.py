"""Rounding: its float32 error is at most a small multiple of the reference's own on the same case."""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request


def accurate_in_float32(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    trial.close(trial.run(dtype=torch.float32).outputs, exact.outputs, tolerance.outputs, "out")


def loses_digits(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    return _sabotage.floats(call(arguments), lambda out: out.bfloat16().float() if out.dtype == torch.float32 else out)


CLAIM = Claim(
    "accurate_in_float32",
    "in float32 it is as accurate as the reference",
    accurate_in_float32,
    needs=lambda contract: contract.agrees and contract.differentiable,
    sabotage=loses_digits,
    aliases=("rounds_like_the_reference_in_float32",),
    about=frozenset({About.ROUNDING}),
)
