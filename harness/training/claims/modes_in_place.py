"""Training in training mode, evaluation in evaluation mode and without gradients."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, GradientsCleared, LossComputed, ModelCalled, ModeSet, OptimizerStepped
from harness.training.observations import CheckpointedAtRandom, RandomInEvaluation
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """A mode matters only where dropout or something like it is at work."""
    outcome = Judgement()
    losses = list(stream.of(LossComputed))
    outcome.judged = len(losses)
    _training(stream, outcome, losses)
    _evaluation(stream, outcome, losses)
    _without_gradient(stream, outcome, losses)
    for event in list(stream.of(RandomInEvaluation))[:1]:
        message = "In evaluation mode two calls with the same input differ: something random does not look at the mode."
        outcome.find("dropout_in_evaluation", message, event.at, difference=event.difference)
    for checkpointed in list(stream.of(CheckpointedAtRandom))[:1]:
        message = (
            "The recomputed forward pass draws other random numbers than the first one: dropout differs between them. "
            "Leave out preserve_rng_state=False."
        )
        outcome.find("checkpointing_without_rng", message, checkpointed.at)
    return outcome


def _training(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> None:
    used = {use.index for event in stream.of(BackwardRan) if _is_for_a_step(stream, event) for use in event.uses}
    trained = [loss for loss in losses if loss.index in used]
    off = [loss for loss in trained if loss.training is False]
    if not off:
        return
    set_off = [m for m in stream.of(ModeSet) if not m.training and m.root == off[0].root and m.index < off[0].index]
    before = [loss for loss in trained if loss.index < off[0].index and loss.training and loss.root == off[0].root]
    matters = any(loss.dropout for loss in before) or any(c.model_has_dropout for c in stream.of(ModelCalled))
    if not set_off or not matters:
        return
    when = "After an evaluation the" if before else "The"
    message = f"{when} model is trained in evaluation mode: dropout is off. `train()` is missing after this `eval()`."
    outcome.find("training_in_evaluation_mode", message, set_off[-1].at, steps=[loss.step for loss in off])


def _is_for_a_step(stream: Stream, backward: BackwardRan) -> bool:
    """Whether a step uses the gradients of a backward pass before they are cleared."""
    step = next((s for s in stream.of(OptimizerStepped) if s.index > backward.index), None)
    if step is None:
        return False
    if step.number < 0:  # an own optimiser's step is noticed after the gradients are cleared
        return True
    cleared = stream.between(backward.index, step.index, GradientsCleared)
    return not any(set(event.unused) & set(backward.reached) for event in cleared)


def _evaluation(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> None:
    wrong = [loss for loss in losses if not loss.gradient and loss.training and loss.dropout]
    if not wrong:
        return
    at = wrong[0].called_at
    for file in sorted(stream.files):
        at = next((Place(file, line) for line in source_of(file).named_without_call("eval")), at)
    message = "The model is evaluated in training mode: dropout is on, and the loss is not that of the model."
    outcome.find("evaluation_in_training_mode", message, at, times=len(wrong))


def _without_gradient(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> None:
    used = {use.index for event in stream.of(BackwardRan) for use in event.uses}
    last = max((event.index for event in stream.of(BackwardRan)), default=0)
    kept = [loss for loss in losses if loss.gradient and loss.training is False and loss.index not in used]
    kept = [loss for loss in kept if loss.index < last]
    if kept:
        message = "The evaluation records a graph that no backward pass uses. Put it under `torch.no_grad()`."
        outcome.find("no_grad_missing_in_evaluation", message, kept[0].called_at or kept[0].at, times=len(kept))


CLAIM = TrainingClaim(
    Topic.EVALUATION, "modes_in_place", "The model is trained in training mode and evaluated in evaluation mode.", judge
)
