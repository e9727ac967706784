"""The same call twice gives the same numbers: shows dropout left on, uninitialised memory, hidden randomness."""

import random
from typing import Any

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call, Sabotage
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request


def deterministic(trial: Trial) -> None:
    twice = trial.case.followed_by(*trial.case.calls)
    answer = trial.run(twice, fresh=True)
    half = len(trial.case.calls)
    trial.close(answer.outputs[half:], answer.outputs[:half], trial.spread(), "the second run's out")


def adds_noise() -> Sabotage:
    coin = random.Random(0)

    def sabotage(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
        out = call(arguments)
        return out if method == "build" or coin.random() < 0.5 else _sabotage.anything(out, lambda t: t + coin.random())

    return sabotage


CLAIM = Claim(
    "deterministic",
    "the same call twice gives the same outputs",
    deterministic,
    needs=lambda contract: not (contract.draws or contract.returns_objects),
    sabotage=adds_noise(),
    structural=True,
    about=frozenset({About.STATE, About.CONSISTENCY}),
)
