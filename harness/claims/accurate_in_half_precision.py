"""16 bit: at most four times the error of the reference run in the same dtype. Code may refuse one dtype, or both."""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, NotSupported, Trial
from harness.core.implementation import Request


def accurate_in_half_precision(trial: Trial) -> None:
    refused = []
    for dtype in (torch.bfloat16, torch.float16):
        try:
            answer = trial.attempt(dtype=dtype)
        except NotSupported as error:  # one of the two at least: numpy has no bfloat16
            refused.append(f"{str(dtype).removeprefix('torch.')} ({error})")
            continue
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        exact, tolerance = trial.agreement(dtype=dtype)
        trial.close(answer.outputs, exact.outputs, tolerance.outputs, f"out in {dtype}")
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))


def loses_more_digits(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    return _sabotage.floats(call(arguments), lambda out: out * 1.25 if out.dtype.itemsize == 2 else out)


CLAIM = Claim(
    "accurate_in_half_precision",
    "in bfloat16 and float16 its error is at most 4 times the reference's",
    accurate_in_half_precision,
    needs=lambda contract: contract.agrees and contract.differentiable and contract.half_precision,
    sabotage=loses_more_digits,
    max_cases=25,
    aliases=("holds_up_in_half_precision",),
    about=frozenset({About.ROUNDING}),
)
