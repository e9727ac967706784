"""A step uses gradients of its own backward passes only."""

from __future__ import annotations

from typing import Any

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, GradientsCleared, OptimizerStepped
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

LEAST_SHARE = 0.5
"""So much of what a backward pass reaches must be stale: a loop that clears some parameters late is left alone."""


def judge(stream: Stream) -> Judgement:
    """Gradients that a step has used were still there when the next backward pass added to them, and were used again.

    Two networks that are trained in turns leave gradients in each other, which are cleared before they are used.
    """
    outcome = Judgement()
    backwards = list(stream.of(BackwardRan))
    found: list[BackwardRan] = []
    for event in backwards:
        following = next((s for s in stream.of(OptimizerStepped) if s.index > event.index), None)
        if following is None or not event.reached:
            continue
        outcome.judged += event.step > 0
        cleared = {n for c in stream.between(event.index, following.index, GradientsCleared) for n in c.names}
        used = {each.name for each in following.parameters if each.gradient is not None}
        stale = (set(event.stale) & used) - cleared
        if stale and len(stale) >= LEAST_SHARE * len(set(event.reached) & used):
            found.append(event)
    if found:
        _report(stream, outcome, found)
    return outcome


def _report(stream: Stream, outcome: Judgement, found: list[BackwardRan]) -> None:
    first = found[0]
    evidence: dict[str, Any] = {"steps": [event.step for event in found], "parameters": len(first.stale)}
    what = "The gradients of one step are never cleared: the next backward pass adds to them, and they are used again."
    for file in sorted(stream.files):
        for line in source_of(file).named_without_call("zero_grad"):
            message = f"`zero_grad` is named here but not called. {what}"
            outcome.find("zero_grad_missing", message, Place(file, line), **evidence)
            return
    others = [c for c in stream.of(GradientsCleared) if not set(c.names) & set(first.stale)]
    if others:
        message = f"This clears the gradients of other parameters than those that are trained. {what}"
        outcome.find("zero_grad_of_other_parameters", message, others[0].at, **evidence)
        return
    called = [c for c in stream.of(GradientsCleared) if set(c.names) & set(first.stale)]
    if called:
        message = f"`zero_grad` is not called in every step. {what}"
        outcome.find("zero_grad_not_in_every_step", message, called[0].at, **evidence)
        return
    message = f"`zero_grad` is missing before this backward pass. {what}"
    outcome.find("zero_grad_missing", message, first.at, **evidence)


CLAIM = TrainingClaim(
    Topic.ORDER, "gradients_cleared", "A step uses the gradients of its own backward passes alone.", judge
)
