"""What is evaluated was not trained on."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LoaderStarted, LossComputed
from harness.training.finding import Level
from harness.training.places import Place
from harness.training.stream import Stream

SHARE = 0.9
LEAST = 3
LARGER = 4
"""A batch is a view of the data where its memory holds so many times as much."""


def judge(stream: Stream) -> Judgement:
    """Compares whole rows. An evaluation of the training data beside one of held-out data is left alone."""
    outcome = Judgement()
    used = {use.index for event in stream.of(BackwardRan) for use in event.uses}
    losses = list(stream.of(LossComputed))
    trained = {row for loss in losses if loss.index in used for row in _rows(loss)}
    held_out = [loss for loss in losses if not loss.gradient and loss.ids is not None]
    if not trained or not held_out:
        return outcome
    outcome.judged = len(held_out)
    shares = [sum(row in trained for row in _rows(loss)) / max(len(_rows(loss)), 1) for loss in held_out]
    common = {row for loss in held_out for row in _rows(loss)} & trained
    if min(shares) < SHARE or len(common) < LEAST:
        return outcome
    message = (
        f"{len(common)} rows of the evaluation are rows of the training data: each evaluated batch has at least "
        f"{min(shares):.0%} of them."
    )
    loaders = {_loader(stream, loss, 0) for loss in losses if loss.index in used}
    own = [_loader(stream, loss, _last_backward(stream, loss)) for loss in held_out]
    views = {one.memory for one in losses if one.index in used and _is_view(one)}
    same = all(number in loaders and number >= 0 for number in own)
    batches = {(one.memory, one.mark) for one in losses if one.index in used}
    known = any((loss.memory in views and _is_view(loss)) or (loss.memory, loss.mark) in batches for loss in held_out)
    level = Level.NOTE if same or known else Level.FAILED
    outcome.find("validation_in_training", message, _place(stream, held_out[0]), level, rows=len(common))
    return outcome


def _is_view(loss: LossComputed) -> bool:
    return loss.ids is not None and loss.source > LARGER * loss.ids.numel()


def _last_backward(stream: Stream, loss: LossComputed) -> int:
    return max((event.index for event in stream.of(BackwardRan) if event.index < loss.index), default=0)


def _rows(loss: LossComputed) -> list[tuple[int, ...]]:
    return [tuple(row) for row in loss.ids.tolist()] if loss.ids is not None else []


def _loader(stream: Stream, loss: LossComputed, since: int) -> int:
    """The number of the data loader that was begun last before a loss, since an event; -1 where there is none."""
    found = [(e.index, e.number) for e in stream.of(LoaderStarted) if since <= e.index < loss.index]
    return max(found, default=(0, -1))[1]


def _place(stream: Stream, loss: LossComputed) -> Place:
    """Where the loader of an evaluation was built, where it has one; else where the model was called."""
    since = max((event.index for event in stream.of(BackwardRan) if event.index < loss.index), default=-1)
    started = [event for event in stream.of(LoaderStarted) if since < event.index < loss.index]
    loader = started[-1].made_at or started[-1].at if started else Place()
    return loader or loss.called_at or loss.at


CLAIM = TrainingClaim(Topic.DATA, "held_out_apart", "What is evaluated was not trained on.", judge)
