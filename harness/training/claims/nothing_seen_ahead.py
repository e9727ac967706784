"""No output depends on the token that it has to predict, in either mode, nor on other rows of the batch."""

from __future__ import annotations

from typing import Any

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.observations import SeenAhead, SeenAheadIn
from harness.training.places import Place
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """Only outputs whose target stands in the input are judged, as in a language model."""
    outcome = Judgement()
    seen = [event for event in stream.of(SeenAhead) if event.target > event.position]
    outcome.judged = len(seen)
    places = list(stream.of(SeenAheadIn))
    training, evaluation = ([e for e in seen if e.training is mode] for mode in (True, False))
    leaks = [event for event in training if event.seen >= event.target]
    later = [event for event in evaluation if event.seen >= event.target]
    first = next(iter([*leaks, *later, *seen]), None)
    if first is not None and (leaks or later) and not (leaks and _is_of_the_shift(leaks, places)):
        at, cause = (places[0].at, places[0]) if places else (first.at, None)
        _report(outcome, first, at, bool(leaks), bool(later) or not evaluation, cause)
    mixed = [event for event in stream.of(SeenAhead) if event.other_rows and not event.mixes and event.training]
    if mixed and not leaks:
        message = "A row of logits depends on the other rows of its batch: the batch is taken for another dimension."
        outcome.find("rows_of_batch_mixed", message, places[0].at if places else mixed[0].at)
    return outcome


def _is_of_the_shift(leaks: list[SeenAhead], places: list[SeenAheadIn]) -> bool:
    """Whether the model is causal, and its logits are paired with targets that it has read: the data is at fault."""
    return not places and all(event.seen == event.target < event.length - 1 for event in leaks)


def _report(
    outcome: Judgement, first: SeenAhead, at: Place, in_training: bool, in_evaluation: bool, cause: SeenAheadIn | None
) -> None:
    what = f"The output at position {first.position} depends on positions up to {first.seen}, and has to predict the "
    what += f"token at position {first.target}"
    mask = " The mask that is used here does not hide it." if cause is not None and cause.has_mask else ""
    evidence: dict[str, Any] = {"position": first.position, "seen": first.seen, "target": first.target}
    if in_training and not in_evaluation:
        message = f"{what}: in training mode later tokens are not hidden. In evaluation mode they are.{mask}"
        outcome.find("causal_mask_missing_in_training", message, at, **evidence)
    elif in_training and first.seen == first.target < first.length - 1:
        outcome.find("causal_mask_off_by_one", f"{what}: one token too many is seen.{mask}", at, **evidence)
    elif in_training:
        outcome.find("causal_mask_missing", f"{what}: later tokens are not hidden.{mask}", at, **evidence)
    else:
        message = f"{what} in evaluation mode. In training mode later tokens are hidden."
        outcome.find("causal_mask_missing_in_evaluation", message, at, **evidence)


CLAIM = TrainingClaim(
    Topic.MODEL, "nothing_seen_ahead", "No output depends on the token that it predicts, or on other rows.", judge
)
