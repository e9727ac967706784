"""Inside ``torch.inference_mode`` it computes the same, and a call there does not spoil a later one for training."""

import torch

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def works_in_inference_mode(trial: Trial) -> None:
    inside = trial.run(context="inference", fresh=True)
    trial.close(inside.outputs, trial.run().outputs, trial.spread(), "in inference mode, out")
    if trial.contract.differentiable:
        again = trial.run(gradients=True, fresh=True)
        trial.close(again.outputs, trial.run().outputs, trial.spread(), "after inference mode, out")


CLAIM = Claim(
    "works_in_inference_mode",
    "torch.inference_mode gives the same outputs, and training still works afterwards",
    works_in_inference_mode,
    needs=lambda contract: contract.differentiable,
    sabotage=lambda call, method, arguments, request: (
        _sabotage.floats(call(arguments), lambda out: out * 2 + 1)
        if torch.is_inference_mode_enabled()
        else call(arguments)
    ),
    max_cases=15,
    about=frozenset({About.CONSISTENCY}),
)
