"""The loss is the cross-entropy of the model's logits, and begins near that of a uniform guess."""

from __future__ import annotations

import math

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LossComputed
from harness.training.finding import Level
from harness.training.observations import StateLoaded
from harness.training.stream import Stream

FAR, NEARER = 2.0, 1.4
"""Times the logarithm of the vocabulary: a first loss above this is far too large, and one above that is told."""


def judge(stream: Stream) -> Judgement:
    """Looks at the logits that the loss gets."""
    outcome = Judgement()
    losses = [loss for loss in stream.of(LossComputed) if loss.gradient]
    outcome.judged = len(losses)
    if not losses:
        return outcome
    first = losses[0]
    if all(loss.probabilities and not loss.is_nll for loss in losses):
        message = "The loss gets probabilities and takes a softmax of them once more: it can hardly fall."
        outcome.find("loss_over_softmax", message, first.at)
    if all(loss.is_nll and not loss.normalised for loss in losses):
        message = "`nll_loss` gets values that are no log-probabilities. It needs a log_softmax before it."
        outcome.find("nll_without_log_softmax", message, first.at)
    if all(loss.misordered for loss in losses):
        message = (
            "The logits that the loss gets are those of the model in another order: they are viewed in a shape instead "
            "of being transposed, so classes and positions are mixed."
        )
        outcome.find("logits_reordered", message, first.at)
    _smoothing(stream, outcome)
    _first(stream, outcome, first)
    return outcome


def _smoothing(stream: Stream, outcome: Judgement) -> None:
    smoothed = [loss for loss in stream.of(LossComputed) if not loss.gradient and loss.smoothing]
    if smoothed:
        message = "The evaluation's loss is smoothed: its value is not the cross-entropy of the model."
        outcome.find("label_smoothing_in_evaluation", message, smoothed[0].at, smoothing=smoothed[0].smoothing)


def _first(stream: Stream, outcome: Judgement, first: LossComputed) -> None:
    """Of a model that was not loaded."""
    loaded = any(event.index < first.index for event in stream.of(StateLoaded))
    trained = any(event.index < first.index for event in stream.of(BackwardRan))
    if loaded or trained or not first.plain or first.is_nll or not math.isfinite(first.expected) or first.logits[1] < 3:
        return
    uniform = math.log(first.logits[1])
    if first.expected > NEARER * uniform + 0.5:
        is_far = first.expected > FAR * uniform + 0.5
        message = (
            f"The first loss is {first.expected:.3g}, that of a uniform guess among {first.logits[1]} tokens is "
            f"{uniform:.3g}: the initial weights make the logits too large."
        )
        level = Level.FAILED if is_far else Level.NOTE
        values = {"loss": first.expected, "uniform": uniform}
        outcome.find("first_loss_too_large", message, first.called_at or first.at, level, **values)


CLAIM = TrainingClaim(Topic.LOSS, "loss_of_logits", "The loss is the cross-entropy of the model's logits.", judge)
