"""The gradient of every argument is the reference's, for a random cotangent (a plain sum hides a class of mistakes)."""

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def gradients_agree(trial: Trial) -> None:
    exact, tolerance = trial.agreement(gradients=True)
    answer = trial.run(gradients=True)
    for name, expected in exact.gradients.items():
        actual = answer.gradients.get(name)
        if expected is None or actual is None:
            continue  # whether a gradient arrives at all is a claim of its own
        what = f"the gradient of {name}"
        trial.close(actual, expected, tolerance.gradients[name], what)


CLAIM = Claim(
    "gradients_agree",
    "the gradient of every argument matches the reference's",
    gradients_agree,
    needs=lambda contract: contract.agrees and contract.differentiable,
    sabotage=lambda call, method, arguments, request: _sabotage.floats(
        call(arguments), lambda out: out + (out - out.detach()) * 0.01 if out.requires_grad else out
    ),
    about=frozenset({About.GRADIENT, About.NUMBERS}),
)
