"""A deep copy, and a fresh object that loaded its ``state_dict``, compute what the original computes."""

from harness.claims import _sabotage
from harness.core.claim import Claim, NotOffered, Trial


def survives_copying(trial: Trial) -> None:
    kind = trial.offer.kind
    if kind == "function":
        raise NotOffered("a function has no state to copy")
    for context in ("deepcopied", "reloaded") if kind == "module" else ("deepcopied",):
        answer = trial.run(context=context, fresh=True)
        trial.close(answer.outputs, trial.run().outputs, trial.spread(), f"when {context}, out")


CLAIM = Claim(
    "survives_copying",
    "a deep copy and a state_dict round trip compute the same",
    survives_copying,
    needs=lambda contract: not contract.returns_objects,
    sabotage=lambda call, method, arguments, request: (
        _sabotage.anything(call(arguments), lambda out: out * 2 + 1)
        if request.context == "deepcopied"
        else call(arguments)
    ),
    tags=frozenset({"stateful"}),
    max_cases=10,
)
