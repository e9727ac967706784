"""Gradients match central differences of the implementation's own forward pass, without any reference."""

import torch

from harness.claims import _sabotage
from harness.core.case import Case, is_float
from harness.core.claim import About, Claim, NotSupported, Trial, Violation
from harness.core.implementation import Answer
from harness.core.tree import dotted
from harness.numerics.gradients import directional_discrepancy


def gradients_agree_with_finite_differences(trial: Trial) -> None:
    if trial.dtype != torch.float64:
        raise NotSupported("it computes in float32, where finite differences are too coarse")
    answer = trial.run(gradients=True)
    arguments = _with_gradient(trial.case, answer)
    if not arguments or not torch.is_tensor(answer.value):
        trial.not_applicable()
    cotangent = trial.cotangent(answer.value)

    def value_at(moved: dict[str, torch.Tensor]) -> float:
        case = trial.case.mapped(lambda path, leaf: moved.get(dotted(path[1:]), leaf))
        return float((trial.run(case, fresh=True).value.double() * cotangent).sum())

    gradients = {name: answer.gradients[name] for name in arguments}
    noise = float(cotangent.abs().sum()) * trial.agreement(gradients=True)[1].value
    found = directional_discrepancy(value_at, arguments, gradients, trial.seed, noise=noise)
    if found.ratio <= 1:
        trial.note_error(found.ratio)
        return
    if _is_not_smooth(trial, cotangent, noise):
        trial.not_applicable()

    def ratio_alone(name: str) -> float:  # one direction shows where the error is
        alone = directional_discrepancy(
            value_at, arguments, gradients, trial.seed, noise=noise, only=(name,), directions=1
        )
        return alone.ratio

    guilty = [name for name in arguments if ratio_alone(name) > 1]
    raise Violation(
        f"the gradient of {', '.join(guilty) or 'the arguments'} does not match finite differences "
        "of its own forward pass",
        worst=f"derivative along a random direction: {found.by_gradient:.8g} from the gradient, "
        f"{found.by_difference:.8g} from finite differences",
        error=found.ratio,
        explains=False,
    )


def _is_not_smooth(trial: Trial, cotangent: torch.Tensor, noise: float) -> bool:
    """Whether the reference has no derivative here either: the corner of a ReLU."""
    exact = trial.expect(gradients=True)
    arguments = _with_gradient(trial.case, exact)
    if exact.crash is not None or not arguments:
        return False

    def value_at(moved: dict[str, torch.Tensor]) -> float:
        case = trial.case.mapped(lambda path, leaf: moved.get(dotted(path[1:]), leaf))
        return float((trial.expect(case).value.double() * cotangent).sum())

    gradients = {name: exact.gradients[name] for name in arguments}
    return directional_discrepancy(value_at, arguments, gradients, trial.seed, noise=noise).ratio > 1


def _with_gradient(case: Case, answer: Answer) -> dict[str, torch.Tensor]:
    """The floating-point arguments that the answer has a gradient of, by dotted name."""
    return {name: leaf for name, leaf in case.tensors() if is_float(leaf) and answer.gradients.get(name) is not None}


CLAIM = Claim(
    "gradients_agree_with_finite_differences",
    "its gradients match finite differences of its own forward pass",
    gradients_agree_with_finite_differences,
    needs=lambda contract: contract.differentiable and contract.is_function,
    sabotage=lambda call, method, arguments, request: _sabotage.floats(
        call(arguments), lambda out: out + (out - out.detach()) * 0.01 if out.requires_grad else out
    ),
    max_cases=6,
    aliases=("gradients_agree_with_differences",),
    structural=True,
    about=frozenset({About.GRADIENT, About.CONSISTENCY}),
)
