"""In training mode with dropout on, the future is hidden too: the branch that training takes has a mask of its own."""

import torch

from harness.claims import _sabotage
from harness.core.claim import About, Claim, NotSupported, Trial
from harness.core.implementation import OfferKind
from harness.core.quorum import at_least
from harness.numerics.causality import bound, causal_form, changed_at, length, tensor_output

MODE = "dropout"
SCALED = 4.0
"""Dropout at one half doubles what it keeps, twice over where weights and outputs are both dropped."""


def causal_in_training(trial: Trial) -> None:
    if trial.offer.kind is not OfferKind.MODULE:
        raise NotSupported("a function has no training mode")
    time, axis = length(trial), causal_form(trial).output
    tensor_output(trial)  # its form is judged without dropout
    before, again = (trial.run(mode=MODE, fresh=True).value for _ in range(2))
    if not torch.equal(before, again):  # it draws from a generator of its own
        trial.not_applicable()
    at = 1 + trial.seed % (time - 1)
    changed = changed_at(trial, at)
    after = trial.run(changed, mode=MODE, fresh=True).value
    what = f"in training mode with dropout, with position {at} changed, the outputs before it"
    tolerance = SCALED * bound(trial, None, changed)
    trial.close(after.narrow(axis, 0, at), before.narrow(axis, 0, at), tolerance, what)


CLAIM = Claim(
    "causal_in_training",
    "in training mode with dropout, changing a position does not change the outputs before it",
    causal_in_training,
    needs=lambda contract: contract.causal is not None and contract.is_function,
    sabotage=lambda call, method, arguments, request: (
        _sabotage.mixes_positions(call, method, arguments, request) if request.mode == MODE else call(arguments)
    ),
    tags=frozenset({"module"}),
    max_cases=8,
    about=frozenset({About.CONSISTENCY}),
    quorum=(at_least("two positions or more", time=2),),
)
