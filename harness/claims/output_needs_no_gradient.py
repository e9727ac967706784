"""Where nothing that was given needs a gradient, neither does the result: a fixed table is no parameter.

A table that is an ``nn.Parameter`` is moved by the optimizer, and keeps the graph of every call alive.
"""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.implementation import EffectKind, Request


def output_needs_no_gradient(trial: Trial) -> None:
    own = [effect for effect in trial.run().effects if effect.kind is EffectKind.OWN_GRADIENT]
    if own:
        raise Violation.of_effects(own)


def learns_a_table(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    return _sabotage.floats(call(arguments), lambda out: out + torch.nn.Parameter(torch.zeros_like(out)))


CLAIM = Claim(
    "output_needs_no_gradient",
    "its output needs a gradient only where an input does",
    output_needs_no_gradient,
    needs=lambda contract: contract.agrees and contract.is_function and not contract.arguments("parameter"),
    sabotage=learns_a_table,
    max_cases=8,
    structural=True,
    about=frozenset({About.STATE, About.GRADIENT}),
)
