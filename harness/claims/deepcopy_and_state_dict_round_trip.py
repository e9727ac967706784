"""A deep copy, and a fresh object that loaded its ``state_dict``, compute what the original computes."""

from harness.claims import _sabotage
from harness.core.claim import About, Claim, NotSupported, Trial
from harness.core.implementation import OfferKind


def deepcopy_and_state_dict_round_trip(trial: Trial) -> None:
    kind = trial.offer.kind
    if kind is OfferKind.FUNCTION:
        raise NotSupported("a function has no state to copy")
    for context in ("deepcopied", "reloaded") if kind is OfferKind.MODULE else ("deepcopied",):
        answer = trial.run(context=context, fresh=True)
        trial.close(answer.outputs, trial.run().outputs, trial.spread(), f"when {context}, out")


CLAIM = Claim(
    "deepcopy_and_state_dict_round_trip",
    "a deep copy and a state_dict round trip give the same outputs",
    deepcopy_and_state_dict_round_trip,
    needs=lambda contract: not contract.returns_objects,
    sabotage=lambda call, method, arguments, request: (
        _sabotage.anything(call(arguments), lambda out: out * 2 + 1)
        if request.context == "deepcopied"
        else call(arguments)
    ),
    tags=frozenset({"stateful"}),
    max_cases=10,
    aliases=("survives_copying",),
    about=frozenset({About.STATE, About.CONSISTENCY}),
)
