"""The first positions alone give what they give at the head of the whole sequence."""

from dataclasses import replace

from harness.claims import _sabotage
from harness.core.case import Case
from harness.core.claim import About, Claim, Trial
from harness.core.quorum import at_least
from harness.numerics.causality import bound, causal_form, length, tensor_output


def prefix_consistent(trial: Trial) -> None:
    time, axis = length(trial), causal_form(trial).output
    whole = tensor_output(trial)
    for kept in sorted({1, time - 1}):
        alone = _first_positions(trial, kept)
        what = f"the first {kept} of {time} positions alone, out"
        trial.close(tensor_output(trial, alone), whole.narrow(axis, 0, kept), bound(trial, None, alone), what)


def _first_positions(trial: Trial, kept: int) -> Case:
    inputs = causal_form(trial).inputs
    shorter = {name: trial.case.arguments[name].narrow(axis, 0, kept) for name, axis in inputs.items()}
    case = trial.case.changed(**shorter)
    return replace(case, dimensions={**case.dimensions, "time": kept})


CLAIM = Claim(
    "prefix_consistent",
    "the first positions alone give the same outputs as in the whole sequence",
    prefix_consistent,
    needs=lambda contract: contract.causal is not None,
    sabotage=_sabotage.mixes_positions,
    max_cases=30,
    aliases=("a_prefix_stands_alone",),
    structural=True,
    about=frozenset({About.CONSISTENCY}),
    quorum=(at_least("three positions or more", time=3),),
)
