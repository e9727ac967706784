"""Tied weights are one, a frozen base is frozen, and loaded weights are those that are trained."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import ModelCalled, OptimizerStepped
from harness.training.observations import AdaptersSeen, Holder, LoadedForNothing, StateLoaded, TiedByValue
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """What the model says of itself before its first step."""
    outcome = Judgement()
    outcome.judged = int(any(event.gradient for event in stream.of(ModelCalled)))
    for equal in list(stream.of(TiedByValue))[:1]:
        message = (
            f"`{equal.names[0]}` and `{equal.names[1]}` are equal at the start and are two parameters: they "
            "are meant to be tied, and training drives them apart."
        )
        outcome.find("tied_weights_broken", message, equal.at, parameters=equal.names)
    for event in list(stream.of(LoadedForNothing))[:1]:
        message = (
            "Weights are loaded into a model that nobody keeps. The model that is trained has its initial weights."
        )
        outcome.find("weights_loaded_into_unused_model", message, event.at)
    _base(stream, outcome)
    return outcome


def _base(stream: Stream, outcome: Judgement) -> None:
    """Adapters on weights that were loaded, which are trained too."""
    loaded = {event.number for event in stream.of(StateLoaded) if event.holder is Holder.MODULE}
    step = next(iter(stream.of(OptimizerStepped)), None)
    for event in stream.of(AdaptersSeen):
        if step is not None and event.root in loaded and event.trained == event.adapters > 1:
            message = (
                f"The model has {event.adapters} adapters of low rank on weights that were loaded, and these "
                "weights are trained as well: the base is not frozen."
            )
            outcome.find("adapter_base_trained", message, step.made_at or step.at, adapters=event.adapters)
            return


CLAIM = TrainingClaim(
    Topic.COVERAGE, "weights_as_meant", "Tied weights are one, and loaded weights are those that are trained.", judge
)
