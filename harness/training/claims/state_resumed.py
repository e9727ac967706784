"""A resumed run goes on with the state of the model, the optimiser and the schedule."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import OptimizerStepped, ScheduleStepped
from harness.training.observations import Holder, StateLoaded, StateRead, StateTaken
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """What was read from a checkpoint is loaded, and what is loaded is what was kept."""
    outcome = Judgement()
    loads = list(stream.of(StateLoaded))
    outcome.judged = len(loads)
    for load in loads:
        if load.holder is Holder.MODULE:
            _weights(stream, outcome, load)
    for read in stream.of(StateRead):
        if not outcome.findings:
            _rest(stream, outcome, read)
    return outcome


def _weights(stream: Stream, outcome: Judgement, load: StateLoaded) -> None:
    if load.of and not load.taken:
        message = (
            f"None of the model's {load.of} tensors is in the state that is loaded: their names differ, and "
            "strict=False hides that."
        )
        outcome.find("weights_not_loaded", message, load.at, tensors=load.of)
    taken = [event for event in stream.of(StateTaken) if event.index < load.index and event.number == load.number]
    steps = [step.index for step in stream.of(OptimizerStepped) if step.index < load.index]
    if load.own and taken and steps and taken[0].index < steps[-1]:
        message = (
            "The state is kept by reference: it changes with the model, and loading it restores nothing. "
            "Keep `copy.deepcopy(model.state_dict())`."
        )
        outcome.find("state_kept_by_reference", message, taken[-1].at)


def _rest(stream: Stream, outcome: Judgement, read: StateRead) -> None:
    loads = [event for event in stream.of(StateLoaded) if event.index > read.index]
    model = next((event for event in loads if event.holder is Holder.MODULE), None)
    step = next((event for event in stream.of(OptimizerStepped) if event.index > read.index), None)
    if model is None or step is None or step.number < 0:
        return
    within = [event for event in loads if event.index < step.index]
    before = [event for event in stream.of(OptimizerStepped) if event.index < read.index and event.count is not None]
    if step.count is None and not any(event.holder is Holder.OPTIMIZER for event in within):
        if read.optimizers:
            message = (
                "The model is loaded from the checkpoint and the optimiser is not, although its state lies in it: the "
                "moments begin at 0. `optimizer.load_state_dict(...)` is missing."
            )
            outcome.find("optimizer_state_lost_on_resume", message, model.at)
        elif before and read.counters:
            message = (
                "The run goes on from a checkpoint without the optimiser's state: after "
                f"{(before[-1].count or 0) + 1} steps the moments begin at 0 again."
            )
            outcome.find("optimizer_state_lost_on_resume", message, model.at)
    advanced = any(event.index > read.index for event in stream.of(ScheduleStepped))
    if read.schedulers and advanced and not any(event.holder is Holder.SCHEDULER for event in loads):
        message = (
            "The model is loaded from the checkpoint and the schedule is not, although its state lies in it: it begins "
            "again. `scheduler.load_state_dict(...)` is missing."
        )
        outcome.find("schedule_lost_on_resume", message, model.at)


CLAIM = TrainingClaim(Topic.RESUME, "state_resumed", "A resumed run goes on with everything that was saved.", judge)
