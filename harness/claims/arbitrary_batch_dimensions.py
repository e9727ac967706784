"""Axes before the feature axis are batch axes: flattened, or with one more, the numbers are the same."""

from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call, Sabotage
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request


def arbitrary_batch_dimensions(trial: Trial) -> None:
    whole = trial.run().value
    if not torch.is_tensor(whole):
        trial.not_applicable()
    for name in trial.contract.leading_axes:
        value = trial.case.arguments[name]
        extra = trial.case.changed(**{name: value.unsqueeze(0)})
        trial.close(
            trial.run(extra).value, whole.unsqueeze(0), trial.spread_of_value(), "with one extra batch dimension, out"
        )
        flat_value = value.reshape(-1, value.shape[-1]) if value.is_floating_point() else value.reshape(-1)
        flat = trial.run(trial.case.changed(**{name: flat_value})).value
        expected = whole.reshape(-1, whole.shape[-1])
        trial.close(
            flat.reshape(expected.shape) if flat.numel() == expected.numel() else flat,
            expected,
            trial.spread_of_value(),
            "with flattened batch dimensions, out",
        )


def adds_the_rank() -> Sabotage:
    def sabotage(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
        rank = max((v.dim() for v in arguments.values() if torch.is_tensor(v)), default=0)
        return _sabotage.floats(call(arguments), lambda out: out + 0.1 * rank)

    return sabotage


CLAIM = Claim(
    "arbitrary_batch_dimensions",
    "it accepts any number of leading batch dimensions",
    arbitrary_batch_dimensions,
    needs=lambda contract: bool(contract.leading_axes),
    sabotage=adds_the_rank(),
    max_cases=25,
    aliases=("leading_axes_are_free",),
    about=frozenset({About.CONSISTENCY}),
)
