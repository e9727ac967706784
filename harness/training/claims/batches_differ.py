"""Batches differ from step to step, epochs from each other, and rows within a batch."""

from __future__ import annotations

import itertools

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.claims.accumulated_gradient import micro_batches
from harness.training.events import BackwardRan, LoaderStarted, LossComputed
from harness.training.finding import Level
from harness.training.observations import SeedSet, StateLoaded, StateRead
from harness.training.places import Place
from harness.training.stream import Stream

LARGER = 4
"""A batch that is a view of so many times as much data is one of many."""


def judge(stream: Stream) -> Judgement:
    """Compares the ids of all training batches."""
    outcome = Judgement()
    used = {use.index for event in stream.of(BackwardRan) for use in event.uses}
    losses = [loss for loss in stream.of(LossComputed) if loss.index in used and loss.mark]
    outcome.judged = len(losses)
    if len(losses) < 2:
        return outcome
    if not (_seeded(stream, outcome, losses) or _always(stream, outcome, losses) or _micro(stream, outcome, losses)):
        _epochs(stream, outcome, losses)
        _turned_back(outcome, losses)
    _rows(outcome, losses)
    return outcome


def _seeded(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> bool:
    """A seed that is set during training makes a batch come again."""
    first_seen: dict[str, LossComputed] = {}
    for loss in losses:
        earlier = first_seen.setdefault(loss.mark, loss)
        if earlier is loss:
            continue
        seeds = stream.between(earlier.index, loss.index, SeedSet)
        if not seeds:
            continue
        events = stream.events[earlier.index : loss.index]
        resumed = any(isinstance(event, (StateRead, StateLoaded)) for event in events)
        again = f"The batch of step {earlier.step + 1} comes again in step {loss.step + 1}"
        if resumed:
            message = f"{again}: the seed is set when the run resumes, and the random state is not restored."
            outcome.find("rng_lost_on_resume", message, seeds[-1].at)
        else:
            message = f"{again}: the seed is set in between, so the same random numbers are drawn."
            outcome.find("batch_repeated", message, seeds[-1].at, steps=[earlier.step, loss.step])
        return True
    return False


def _always(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> bool:
    """Every step sees the same batch."""
    steps = {loss.step for loss in losses}
    if len({loss.mark for loss in losses}) > 1 or len(steps) < 3:
        return False
    first = losses[0]
    size = first.ids.numel() if first.ids is not None else 0
    starts = [e for e in stream.of(LoaderStarted) if e.batches != 1]
    held_out = {loss.mark for loss in stream.of(LossComputed) if not loss.gradient}
    certain = first.source > LARGER * size or len(starts) >= len(steps) or len(held_out) > 1
    message = f"All {len(steps)} steps see the same batch."
    level = Level.FAILED if certain else Level.NOTE
    outcome.find("batch_repeated", message, _place(stream, losses[-1], len(steps)), level, steps=len(steps))
    return True


def _place(stream: Stream, loss: LossComputed, steps: int) -> Place:
    starts = list(stream.of(LoaderStarted))
    if len(starts) >= steps:
        return starts[-1].at
    made_once = loss.ids_from.step < loss.step
    made = loss.ids_from.within(loss.called_at) if made_once else loss.ids_from.at
    return made or loss.called_at or loss.at


def _micro(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> bool:
    """All micro-batches of a step are the same."""
    several = [group for group in micro_batches(stream) if len(group) > 1]
    same = [group for group in several if len({_contents(loss) for _, loss, _, _ in group}) == 1]
    if len(same) < 2 or 2 * len(same) <= len(several):
        return False
    message = f"The {len(same[0])} micro-batches of a step are the same batch: accumulation makes it no larger."
    place = losses[-1].ids_from.within(losses[-1].called_at) or losses[0].called_at or losses[0].at
    outcome.find("micro_batches_repeated", message, place)
    return True


def _contents(loss: LossComputed) -> tuple[str, tuple[int, ...]]:
    return loss.mark, tuple(loss.targets.flatten().tolist()) if loss.targets is not None else ()


def _is_stream(losses: list[LossComputed]) -> bool:
    """Whether each batch goes on where the one before ended, as in a text that is read in order."""
    for one, other in itertools.pairwise(losses):
        if one.targets is None or other.ids is None or one.ids is None:
            return False
        rows = other.ids.shape[0] == one.targets.shape[0] and bool((other.ids[:, 0] == one.targets[:, -1]).all())
        if not rows and int(other.ids[0, 0]) != int(one.targets[-1, -1]):
            return False
    return True


def _epochs(stream: Stream, outcome: Judgement, losses: list[LossComputed]) -> None:
    """Two epochs have the same batches in the same order."""
    starts = [start for start in stream.of(LoaderStarted) if any(loss.index > start.index for loss in losses)]
    epochs = []
    for start in starts:
        end = min((other.index for other in starts if other.index > start.index), default=10**12)
        marks = [loss for loss in losses if start.index < loss.index < end]
        if len(marks) > 1:
            epochs.append((start, marks))
    for (_, one), (start, other) in itertools.pairwise(epochs):
        common = min(len(one), len(other))
        same = [loss.mark for loss in one[:common]] == [loss.mark for loss in other[:common]]
        if same and len({loss.mark for loss in one}) > 1 and not _is_stream(one):
            message = f"Two epochs have the same batches in the same order ({common} compared): nothing is shuffled."
            outcome.find("epochs_identical", message, start.made_at or start.at, batches=common)
            return


def _turned_back(outcome: Judgement, losses: list[LossComputed]) -> None:
    """A text that is read in order begins again long before its end."""
    first, size = losses[0], losses[0].ids.numel() if losses[0].ids is not None else 0
    again = [number for number, loss in enumerate(losses) if number and loss.mark == first.mark]
    if not again or not size or again[0] < 2:
        return
    used = 0
    for loss in reversed(losses[: again[0]]):
        if loss.memory != losses[again[0] - 1].memory:
            break
        used += size
    source = losses[again[0] - 1].source
    if source > LARGER * used:
        loss = losses[again[0]]
        message = (
            f"The first batch comes again in step {loss.step + 1}, after {used} of {source} tokens: the data begins "
            "again before its end."
        )
        outcome.find("batch_repeated", message, loss.called_at or loss.at, step=loss.step)


def _rows(outcome: Judgement, losses: list[LossComputed]) -> None:
    """Most rows of a batch are the same."""
    batches = [loss.ids for loss in losses if loss.ids is not None and loss.ids.shape[0] >= 4]
    copies = [1 - len({tuple(row) for row in ids.tolist()}) / ids.shape[0] for ids in batches]
    if copies and min(copies) > 0.5 and any(len(set(ids[0].tolist())) > 1 for ids in batches):
        message = f"At least {min(copies):.0%} of the rows of every batch are copies of another row of it."
        at = losses[0].ids_from.filled_at or losses[0].called_at or losses[0].at
        outcome.find("rows_repeated", message, at)


CLAIM = TrainingClaim(Topic.DATA, "batches_differ", "Batches differ from step to step and from epoch to epoch.", judge)
