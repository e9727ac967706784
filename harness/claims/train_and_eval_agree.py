"""Without dropout, training mode and evaluation mode compute the same; also where a rate above 0 drops nothing.

Code has a branch of its own for training with dropout, which may forget the mask, the scale or a head.
"""

from harness.claims import _sabotage
from harness.core.claim import About, Claim, NotSupported, Trial
from harness.core.implementation import OfferKind


def train_and_eval_agree(trial: Trial) -> None:
    if trial.offer.kind is not OfferKind.MODULE:
        raise NotSupported("a function has no training or evaluation mode")
    trial.close(trial.run(mode="train").outputs, trial.run().outputs, trial.spread(), "in training mode, out")
    faint = trial.run(mode="faint dropout", fresh=True).outputs
    trial.close(faint, trial.run().outputs, trial.spread(), "in training mode with a dropout that drops nothing, out")


CLAIM = Claim(
    "train_and_eval_agree",
    "without dropout, or where it drops nothing, training mode and evaluation mode give the same outputs",
    train_and_eval_agree,
    needs=lambda contract: contract.is_function,
    sabotage=lambda call, method, arguments, request: (
        _sabotage.anything(call(arguments), lambda out: out * 1.5 + 1) if request.mode != "eval" else call(arguments)
    ),
    tags=frozenset({"module"}),
    max_cases=15,
    structural=True,
    about=frozenset({About.STATE, About.CONSISTENCY}),
)
