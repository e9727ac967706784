"""Every parameter that the loss reaches is updated: it stands in one group, gets a gradient, and moves."""

from __future__ import annotations

from harness.reports.wording import listed
from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, OptimizerStepped
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """A parameter gets a gradient in every step and no optimiser ever changes it: the optimiser lacks it."""
    outcome = Judgement()
    steps = list(stream.of(OptimizerStepped))
    if not steps:
        return outcome
    held = {each.name for event in steps for each in event.parameters}
    reached = [set(event.reached) for event in stream.of(BackwardRan)]
    outcome.judged = len(held)
    always = set.intersection(*reached) if reached else set()
    if lacking := sorted(always - held):
        message = (
            f"The optimiser lacks {listed(lacking)}: the loss has a gradient for "
            f"{'it' if len(lacking) == 1 else 'them'}, and no step changes {'it' if len(lacking) == 1 else 'them'}."
        )
        kind = "parameters_not_in_optimizer" if held & always else "optimizer_holds_other_parameters"
        outcome.find(kind, message, steps[0].at, parameters=lacking)
    return outcome


CLAIM = TrainingClaim(
    Topic.COVERAGE,
    "every_parameter_trained",
    "Every parameter that the loss reaches is updated by an optimiser.",
    judge,
)
