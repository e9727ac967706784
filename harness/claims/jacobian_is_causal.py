"""The gradient of the outputs before a position with respect to the inputs from there on is zero."""

import torch

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.quorum import at_least
from harness.numerics.causality import causal_form, length


def jacobian_is_causal(trial: Trial) -> None:
    time, form = length(trial), causal_form(trial)
    for at in sorted({1, time // 2, time - 1} - {0}):
        gradients = trial.run(gradients=True, output_part=(form.output, 0, at)).gradients
        bounds = trial.agreement(gradients=True)[1].gradients
        for name, axis in form.inputs.items():
            gradient = gradients.get(name)
            if gradient is None or gradient.shape != trial.case.arguments[name].shape:
                trial.not_applicable()  # a missing gradient is another claim's business
                return
            later = gradient.narrow(axis, at, time - at)
            what = f"the gradient with respect to {name} from position {at} on, of the outputs before {at}"
            try:
                trial.close(later, torch.zeros_like(later), bounds[name], what)
            except Violation as violation:
                message = f"an output before position {at} depends on an input at or after {at}: {what}, is not zero"
                raise Violation(message, worst=violation.worst, error=violation.error) from None


CLAIM = Claim(
    "jacobian_is_causal",
    "the gradient of an output with respect to later inputs is zero",
    jacobian_is_causal,
    needs=lambda contract: contract.causal is not None and contract.causal.gradient,
    sabotage=_sabotage.mixes_positions,
    max_cases=25,
    about=frozenset({About.CONSISTENCY}),
    quorum=(at_least("three positions or more", time=3),),
)
