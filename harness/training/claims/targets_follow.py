"""Each target is the token after its input, and no output depends on it."""

from __future__ import annotations

import itertools
from statistics import median

import torch

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
    elif best < 0 and _is_causal(seen):
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
        outcome.find("targets_reordered", message, losses[0].at)
        return
    if _are_alike(losses):
        message = (
            "The targets have nothing to do with the inputs: no shift makes them the same tokens, although both are "
            "drawn from the same text."
        )
        outcome.find("targets_unrelated", message, _place(losses), shares=[_share(losses[0], s) for s in SHIFTS])


def _are_alike(losses: list[LossComputed]) -> bool:
    """Whether every target counts, targets and inputs have about the same tokens as often, and are not in any order."""
    pairs = [(loss.targets, loss.ids) for loss in losses if loss.targets is not None and loss.ids is not None]
    if any(
        a.shape != b.shape or bool((a == loss.ignore_index).any()) for (a, b), loss in zip(pairs, losses, strict=True)
    ):
        return False
    if any(_share(losses[0], shift) > 0.5 for shift in range(-pairs[0][1].shape[1] + 2, pairs[0][1].shape[1] - 1)):
        return False
    if any(torch.equal(a.sort(-1).values, b.sort(-1).values) for a, b in pairs):
        return False
    return _is_text(pairs)


def _is_text(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> bool:
    """Whether neighbours among the targets are neighbours among the inputs, more often than by chance."""
    inputs = {pair for _, ids in pairs for pair in _neighbours(ids)}
    targets = [pair for one, _ in pairs for pair in _neighbours(one)]
    tokens = torch.cat([one.flatten() for one, _ in pairs])
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
    by_chance = _neighbours(tokens[order].unsqueeze(0))
    shares = [sum(pair in inputs for pair in some) / max(len(some), 1) for some in (targets, by_chance)]
    mapped = {(int(a), int(b)) for one, ids in pairs for a, b in zip(ids.flatten(), one.flatten(), strict=True)}
    is_function = len({a for a, _ in mapped}) == len(mapped)
    return shares[0] > 0.5 and shares[0] > shares[1] + 0.15 and not is_function


def _neighbours(rows: torch.Tensor) -> list[tuple[int, int]]:
    return [(a, b) for row in rows for a, b in itertools.pairwise(row.tolist())]


def _place(losses: list[LossComputed]) -> Place:
    return losses[0].targets_from.at or losses[0].called_at or losses[0].at


CLAIM = TrainingClaim(Topic.DATA, "targets_follow", "Each target is the token after the last one that was read.", judge)
