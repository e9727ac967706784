"""Padding is not predicted, and the mean is taken over what counts."""

from __future__ import annotations

import torch

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LossComputed
from harness.training.stream import Stream

NEAR = 1e-3
LONGEST, DIFFERENT, SHARE = 2, 3, 0.2
"""Padding has so many ids in one row, rows have so many different numbers of them, and this share of rows has any."""


def judge(stream: Stream) -> Judgement:
    """An id that stands at the end of rows alone, as often as these are shorter, is padding."""
    outcome = Judgement()
    losses = [e for e in stream.of(LossComputed) if e.gradient and e.targets is not None and e.ids is not None]
    if not losses:
        return outcome
    outcome.judged = len(losses)
    id_ = _padding(losses)
    counted = sum(_counted(loss, id_) for loss in losses) if id_ is not None else 0
    if counted:
        message = (
            f"The id {id_} fills up the shorter rows, and the loss counts it as a target {counted} times: the model is "
            "trained to predict padding."
        )
        at = losses[0].targets_from.filled_at or losses[0].called_at or losses[0].at
        outcome.find("padding_counted", message, at, id=id_, targets=counted)
    _denominator(stream, outcome, losses)
    return outcome


def _padding(losses: list[LossComputed]) -> int | None:
    """The id of padding; None where there is none."""
    rows = [row for loss in losses if loss.ids is not None for row in loss.ids]
    last = [int(row[-1]) for row in rows]
    for id_ in sorted({id_ for id_ in last if last.count(id_) >= 2}):
        tails = [_tail(row, id_) for row in rows]
        inside = any(bool((row[: len(row) - tail] == id_).any()) for row, tail in zip(rows, tails, strict=True))
        often = sum(tail > 0 for tail in tails) >= SHARE * len(tails)
        if often and not inside and max(tails) >= LONGEST and len(set(tails)) >= DIFFERENT:
            return id_
    return None


def _tail(row: torch.Tensor, id_: int) -> int:
    other = (row != id_).nonzero().flatten()
    return len(row) - (int(other.max()) + 1 if len(other) else 0)


def _counted(loss: LossComputed, id_: int) -> int:
    """Targets that are padding, whose input is padding too."""
    assert loss.ids is not None and loss.targets is not None
    width = loss.targets.shape[1]
    both = (loss.targets == id_) & (loss.ids[:, :width] == id_)
    return int(both.sum()) if id_ != loss.ignore_index else 0


def _denominator(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> None:
    """A sum is divided by the number of all positions, the ignored ones too."""
    uses = {use.index: use for event in stream.of(BackwardRan) for use in event.uses}
    found = []
    for loss in losses:
        use = uses.get(loss.index)
        if use is None or loss.reduction != "sum" or loss.targets is None or loss.ids is None:
            continue
        whole = {loss.targets.numel(), loss.ids.numel()}
        if loss.counted < 0.98 * min(whole) and any(abs(use.weight * count - 1) < NEAR for count in whole):
            found.append(loss)
    if len(found) * 2 > len(losses):
        message = (
            f"The summed loss of {found[0].counted} targets is divided by the number of all positions, the ignored "
            "ones too: it is too small."
        )
        outcome.find("loss_divided_by_wrong_count", message, found[0].at, counted=found[0].counted)


CLAIM = TrainingClaim(Topic.LOSS, "padding_ignored", "Padding is not predicted; the mean is over what counts.", judge)
