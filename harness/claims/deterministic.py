"""The same call twice gives the same numbers (dropout left on, uninitialised memory and hidden randomness show here)."""

import random

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def deterministic(trial: Trial) -> None:
    twice = trial.case.followed_by(*trial.case.calls)
    answer = trial.run(twice, fresh=True)
    half = len(trial.case.calls)
    trial.close(answer.outputs[half:], answer.outputs[:half], trial.spread(), "the second run's out")


def adds_noise():
    coin = random.Random(0)

    def sabotage(call, method, arguments, request):
        out = call(arguments)
        return out if method == "build" or coin.random() < 0.5 else _sabotage.anything(out, lambda t: t + coin.random())

    return sabotage


CLAIM = Claim(
    "deterministic",
    "the same call twice gives the same outputs",
    deterministic,
    needs=lambda contract: not (contract.draws or contract.returns_objects),
    sabotage=adds_noise(),
    about=frozenset({About.STATE, About.CONSISTENCY}),
)
