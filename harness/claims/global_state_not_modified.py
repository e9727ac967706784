"""Random generators, default dtype, gradient mode and threads are as they were after the call."""

from typing import Any

import torch

from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.implementation import EffectKind, Request

GLOBAL = (EffectKind.GENERATOR, EffectKind.FLAG)


def global_state_not_modified(trial: Trial) -> None:
    changed = [effect for effect in trial.run().effects if effect.kind in GLOBAL]
    builds = any(call.method == "build" for call in trial.case.calls)
    if (
        builds or trial.contract.draws or trial.contract.returns_objects
    ):  # what builds or trains may draw random numbers
        changed = [effect for effect in changed if effect.kind is not EffectKind.GENERATOR]
    if changed:
        raise Violation.of_effects(changed)


def turns_a_switch(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    out = call(arguments)
    torch.set_default_dtype(torch.float16)
    torch.rand(1, dtype=torch.float32)
    return out


CLAIM = Claim(
    "global_state_not_modified",
    "it does not change random state, default dtype, gradient mode or thread count",
    global_state_not_modified,
    sabotage=turns_a_switch,
    aliases=("leaves_global_state_alone",),
    structural=True,
    about=frozenset({About.STATE}),
)
