"""16 bit: not worse than four times the reference run in the same dtype. Code that refuses the dtype does not offer it."""

import torch

from harness.claims import _sabotage
from harness.core.claim import About, Claim, NotSupported, Trial


def holds_up(trial: Trial) -> None:
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


def loses_more_digits(call, method, arguments, request):
    return _sabotage.floats(call(arguments), lambda out: out * 1.25 if out.dtype.itemsize == 2 else out)


CLAIM = Claim(
    "accurate_in_half_precision",
    "in bfloat16 and float16 its error is at most 4 times the reference's",
    holds_up,
    needs=lambda contract: contract.agrees and contract.differentiable and contract.half_precision,
    sabotage=loses_more_digits,
    max_cases=25,
    aliases=("holds_up_in_half_precision",),
    about=frozenset({About.ROUNDING}),
)
