"""Each target is the token after its input, and no output depends on it."""

from __future__ import annotations

from statistics import median

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import LossComputed
from harness.training.grids import share_of_shift
from harness.training.observations import SeenAhead, SeenAheadIn
from harness.training.places import Place
from harness.training.stream import Stream

NEARLY_ALL = 0.9
SHIFTS = (1, 0, 2, -1)


def judge(stream: Stream) -> Judgement:
    """Which token a target is comes from the data; on which positions an output depends comes from the graph."""
    outcome = Judgement()
    losses = [e for e in stream.of(LossComputed) if e.gradient and e.targets is not None and e.ids is not None]
    if not losses:
        return outcome
    outcome.judged = len(losses)
    seen = [event for event in stream.of(SeenAhead) if event.training]
    offsets = {event.seen - event.position for event in seen}
    offset = offsets.pop() if len(offsets) == 1 else 0
    shares = {shift: median(_share(each, shift) for each in losses) for shift in SHIFTS}
    best = next((shift for shift in SHIFTS if shares[shift] > NEARLY_ALL), None)
    looked = set(stream.of(SeenAheadIn))
    if best is None:
        _unrelated(outcome, losses)
    elif best - offset == 1 or (offset > 0 and looked):
        return outcome
    elif best - offset <= 0 and best in (0, 1) and _is_causal(seen):
        message = "Each target is the token that its output has just read, not the next: the model copies its input."
        outcome.find("targets_not_shifted", message, _place(losses), share=shares[best])
    elif best - offset >= 2:
        message = (
            f"Each target is {best - offset} tokens after the last one that its output has read: the targets are "
            "shifted twice."
        )
        outcome.find("targets_shifted_twice", message, _place(losses), share=shares[best])
    elif best < 0:
        message = "Each target is the token before its input: inputs and targets are exchanged."
        outcome.find("targets_shifted_the_wrong_way", message, _place(losses), share=shares[best])
    return outcome


def _is_causal(seen: list[SeenAhead]) -> bool:
    return not seen or all(event.seen < event.length - 1 or event.position >= event.length - 2 for event in seen)


def _share(loss: LossComputed, shift: int) -> float:
    assert loss.targets is not None and loss.ids is not None
    return share_of_shift(loss.targets, loss.ids, shift, loss.ignore_index)


def _unrelated(outcome: Judgement, losses: list[LossComputed]) -> None:
    """Targets in another order, or from elsewhere."""
    if all(loss.reordered for loss in losses):
        message = "The targets are flattened in another order than the logits: rows and positions are exchanged."
        outcome.find("targets_reordered", message, _place(losses))
        return
    unlike = [loss for loss in losses if _looks_like_text(loss)]
    if len(unlike) == len(losses):
        message = (
            "The targets have nothing to do with the inputs: no shift makes them the same tokens, although both are "
            "drawn from the same text."
        )
        outcome.find("targets_unrelated", message, _place(losses), shares=[_share(losses[0], s) for s in SHIFTS])


def _looks_like_text(loss: LossComputed) -> bool:
    """Whether every target counts, and targets and inputs have about the same tokens as often."""
    assert loss.targets is not None and loss.ids is not None
    if bool((loss.targets == loss.ignore_index).any()) or loss.targets.shape != loss.ids.shape:
        return False
    size = int(max(loss.targets.max(), loss.ids.max())) + 1
    one, other = (t.flatten().bincount(minlength=size).double() / t.numel() for t in (loss.targets, loss.ids))
    return float((one - other).abs().sum()) / 2 < 0.35 and size > 8


def _place(losses: list[LossComputed]) -> Place:
    return losses[0].targets_from.at or losses[0].called_at or losses[0].at


CLAIM = TrainingClaim(Topic.DATA, "targets_follow", "Each target is the token after the last one that was read.", judge)
