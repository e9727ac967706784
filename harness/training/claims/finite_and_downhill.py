"""Losses and gradients are finite, each backward pass runs once, and steps go downhill."""

from __future__ import annotations

import itertools
import math

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LossComputed, ScalerUsed
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

LEAST_COSINE = 0.05
LOSSES_KEPT = 3
"""So many graphs of earlier steps that still live are no accident."""


def judge(stream: Stream) -> Judgement:
    """The sign comes from the graph of the loss, and from the first step that is made."""
    outcome = Judgement()
    backwards = list(stream.of(BackwardRan))
    outcome.judged = len(backwards)
    _finite(stream, outcome, backwards)
    _sign(stream, outcome, backwards)
    _once(outcome, backwards)
    kept = [event for event in backwards if event.kept]
    if kept and (max(event.kept for event in kept) >= LOSSES_KEPT or _names_of_kept(kept[0])):
        event = kept[0]
        message = (
            f"The graphs of {event.kept} losses of earlier steps are still in memory: something keeps the losses "
            "themselves. Keep `loss.item()` or `loss.detach()`."
        )
        lines = _names_of_kept(event)
        at = Place(event.at.file, lines[0]) if lines else event.at
        outcome.find("graph_kept", message, at, kept=event.kept)
    return outcome


def _names_of_kept(event: BackwardRan) -> list[int]:
    """Lines that add the loss as it is to something, or append it."""
    source = source_of(event.at.file)
    name = source.owner_of_call(event.at.line, "backward") if event.at else ""
    return source.keeps(name) if name else []


def _finite(stream: Stream, outcome: Judgement, backwards: list[BackwardRan]) -> None:
    scaled = any(True for _ in stream.of(ScalerUsed))
    bad = [e for e in backwards if (e.loss is not None and not math.isfinite(e.loss)) or (e.not_finite and not scaled)]
    if not bad:
        return
    losses = {event.index: event for event in stream.of(LossComputed)}
    empty = [losses[use.index] for use in bad[0].uses if use.index in losses and not losses[use.index].counted]
    why = " Every target of the batch is ignored, so the mean is 0/0." if empty else ""
    what = (
        f"The loss is {bad[0].loss}" if bad[0].loss is not None and not math.isfinite(bad[0].loss) else "A gradient is"
    )
    message = f"{what}{'' if what.startswith('The') else ' not finite'} in step {bad[0].step + 1}.{why}"
    outcome.find("loss_not_finite", message, bad[0].at, step=bad[0].step, loss=bad[0].loss)


def _sign(stream: Stream, outcome: Judgement, backwards: list[BackwardRan]) -> None:
    uses = [(event, use) for event in backwards for use in event.uses]
    if uses and all(use.coefficient < 0 for _, use in uses):
        message = "What is differentiated is the negative cross-entropy: each step makes the loss larger."
        outcome.find("gradient_ascent", message, uses[0][0].at, coefficient=uses[0][1].coefficient)
        return
    steps = stream.watched_steps()
    if not steps or steps[0].since_backward == 0:
        return
    moved = [each for each in steps[0].parameters if each.moved and each.gradient]
    weight = sum(each.size for each in moved)
    cosine = sum(each.along * each.size for each in moved) / weight if weight else 0.0
    if cosine > LEAST_COSINE:
        message = "The first step goes along the gradient, not against it: each step makes the loss larger."
        outcome.find("gradient_ascent", message, steps[0].at, cosine=cosine)


def _once(outcome: Judgement, backwards: list[BackwardRan]) -> None:
    """One loss is differentiated twice, and its gradients are added up."""
    pairs = [
        (one, other)
        for one, other in itertools.pairwise(backwards)
        if one.root == other.root and one.uses and [u.index for u in one.uses] == [u.index for u in other.uses]
    ]
    if pairs:
        message = "This is a second backward pass of the same loss: each gradient is twice as large as it should be."
        outcome.find("backward_twice", message, pairs[0][1].at, times=len(pairs))


CLAIM = TrainingClaim(
    Topic.GRADIENTS, "finite_and_downhill", "Losses and gradients are finite, and steps go against the gradient.", judge
)
