"""Inputs, weights and the incoming gradient are as they were after the call, lists and dictionaries too."""

from contextlib import suppress
from typing import Any

import torch

from harness.claims._sabotage import Arguments, Call
from harness.core.case import is_float
from harness.core.claim import About, Claim, NotSupported, Trial, Violation
from harness.core.implementation import EffectKind, Request
from harness.core.tree import leaves

WRITES = (EffectKind.ARGUMENT, EffectKind.INCOMING_GRADIENT)


def arguments_not_modified(trial: Trial) -> None:
    runs = [trial.run()]
    if trial.contract.differentiable:
        with suppress(NotSupported):  # code without gradients keeps its hands off in the forward pass all the same
            runs.append(trial.run(gradients=True))
    for answer in runs:
        changed = [effect for effect in answer.effects if effect.kind in WRITES]
        if changed:
            raise Violation.of_effects(changed)


def writes_in_place(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    out = call(arguments)
    with torch.no_grad():
        for _, leaf in leaves(dict(arguments)):
            if is_float(leaf) and leaf.numel():
                leaf.add_(1.0)
            elif torch.is_tensor(leaf) and leaf.numel() and leaf.dtype != torch.bool:
                leaf.add_(1)
    for value in arguments.values():
        if isinstance(value, (dict, list)):
            value.clear()
    return out


CLAIM = Claim(
    "arguments_not_modified",
    "it does not modify its inputs, its weights or the incoming gradient",
    arguments_not_modified,
    needs=lambda contract: any(a.is_modifiable for s in contract.calls.values() for a in s.arguments),
    sabotage=writes_in_place,
    aliases=("leaves_arguments_alone",),
    structural=True,
    about=frozenset({About.STATE}),
)
