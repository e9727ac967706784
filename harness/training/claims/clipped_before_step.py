"""A clip sees the gradients that the step uses."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.claims.every_parameter_trained import names_of
from harness.training.events import BackwardRan, Clipped, OptimizerStepped
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """After the backward pass, before the step, of the parameters of the step, in their own scale."""
    outcome = Judgement()
    clips = list(stream.of(Clipped))
    outcome.judged = len(clips)
    if _others(stream, outcome, clips):
        return outcome
    for test in (_of_nothing, _after_step, _before_backward, _scaled, _limit):
        found = [clip for clip in clips if test(stream, clip)]
        if len(found) * 2 > len(clips):
            kind, message = MESSAGES[test.__name__]
            outcome.find(kind, message, found[0].at, times=len(found), given=found[0].given, norm=found[0].norm)
            return outcome
    _some(stream, outcome, clips)
    _within(stream, outcome, clips)
    return outcome


def _of_nothing(stream: Stream, clip: Clipped) -> bool:
    return clip.given == 0


def _after_step(stream: Stream, clip: Clipped) -> bool:
    return clip.used


def _before_backward(stream: Stream, clip: Clipped) -> bool:
    reached = {name for event in stream.of(BackwardRan) for name in event.reached}
    return clip.empty and clip.given > 0 and bool(reached & set(clip.names))


def _scaled(stream: Stream, clip: Clipped) -> bool:
    return clip.scaled and not clip.empty


def _limit(stream: Stream, clip: Clipped) -> bool:
    return clip.limit <= 0


MESSAGES = {
    "_of_nothing": (
        "clip_of_exhausted_generator",
        "The clip gets no tensor: the iterator that it is given was used up before. Nothing is clipped. "
        "`model.parameters()` can be iterated once; call it again, or keep a list.",
    ),
    "_after_step": (
        "clip_after_step",
        "The clip comes after the step that uses the gradients, and changes nothing. It belongs between the backward "
        "pass and the step.",
    ),
    "_before_backward": (
        "clip_before_backward",
        "None of the tensors has a gradient when the clip runs, so nothing is clipped. It belongs between the backward "
        "pass and the step.",
    ),
    "_scaled": (
        "clip_before_unscale",
        "The clip sees gradients that the scaler has scaled up. Call `scaler.unscale_(optimizer)` before it.",
    ),
    "_limit": ("clip_removes_gradients", "The limit of the clip is not above 0, so every gradient becomes 0."),
}


def _others(stream: Stream, outcome: Judgement, clips: list[Clipped]) -> bool:
    """Whether none of the clipped parameters is one that a step uses."""
    used = {each.name for step in stream.watched_steps() for each in step.parameters if each.gradient is not None}
    clipped = {name for clip in clips for name in clip.names}
    held = {each.name for step in stream.watched_steps() for each in step.parameters}
    if not clipped or used & clipped or (not used and held & clipped):
        return False
    if used:
        message = "The clip is given other parameters than those that the optimiser updates."
        outcome.find("clip_of_other_parameters", message, clips[0].at)
    return bool(used)


def _some(stream: Stream, outcome: Judgement, clips: list[Clipped]) -> None:
    """A step uses gradients that no clip has seen, beside those that it has seen."""
    steps = [step for step in stream.watched_steps() if step.number >= 0]
    clipped = {name for clip in clips for name in clip.names}
    used = {each.name for step in steps for each in step.parameters if each.gradient}
    left_out = sorted(used - clipped)
    if left_out and used & clipped and len({step.number for step in steps}) == 1:
        message = f"The clip leaves out {names_of(left_out)}: the step uses their gradients as they are."
        outcome.find("clip_of_some_parameters", message, clips[0].at, parameters=left_out)


def _within(stream: Stream, outcome: Judgement, clips: list[Clipped]) -> None:
    """Another backward pass adds to gradients that were clipped."""
    if any(clip.by_value for clip in clips) or not clips:
        return
    found = []
    for clip in clips:
        step = next((s for s in stream.of(OptimizerStepped) if s.index > clip.index), None)
        if step is not None:
            found += [
                b for b in stream.between(clip.index, step.index, BackwardRan) if set(b.carried) & set(clip.names)
            ]
    if len(found) * 2 >= len(clips):
        message = (
            "Gradients are clipped after each micro-batch, and the next one adds to what was clipped. "
            "The clip belongs before the step, once."
        )
        outcome.find("clip_before_all_gradients", message, clips[0].at, times=len(found))


CLAIM = TrainingClaim(Topic.ORDER, "clipped_before_step", "A clip sees the gradients that the step uses.", judge)
