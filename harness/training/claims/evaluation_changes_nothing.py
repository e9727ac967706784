"""Training goes on after an evaluation with the parameters that it had before."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import ModelCalled
from harness.training.observations import ParametersReplaced
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """A state that is loaded for an evaluation is put back afterwards."""
    outcome = Judgement()
    outcome.judged = sum(not event.gradient for event in stream.of(ModelCalled))
    for event in list(stream.of(ParametersReplaced))[:1]:
        message = (
            "This loads other parameters into the trained model. It is evaluated, and training goes on with these "
            "parameters: what it had learned is not put back."
        )
        outcome.find("evaluation_changes_parameters", message, event.at, parameters=event.parameters)
    return outcome


CLAIM = TrainingClaim(
    Topic.EVALUATION, "evaluation_changes_nothing", "An evaluation leaves the parameters as they were.", judge
)
