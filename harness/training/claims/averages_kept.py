"""A copy of the model that is evaluated beside it is one, and changes, as an average of its weights does."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import LossComputed
from harness.training.finding import Level
from harness.training.observations import CopyEvaluated
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """Looks at copies that are evaluated again and again. A reference that a loss is compared with is left alone."""
    outcome = Judgement()
    seen: dict[int, list[CopyEvaluated]] = {}
    for event in stream.of(CopyEvaluated):
        seen.setdefault(event.root, []).append(event)
    for root, events in seen.items():
        outcome.judged += len(events)
        if all(event.shared for event in events):
            message = "This copy of the model has the model's own parameters: the two are one, and an average is none."
            outcome.find("average_is_the_model", message, events[0].at)
        elif len({event.step for event in events}) > 1 and not any(event.changed for event in events):
            _never_changed(stream, outcome, root, events)
    return outcome


def _never_changed(stream: Stream, outcome: Judgement, root: int, events: list[CopyEvaluated]) -> None:
    losses = [loss for loss in stream.of(LossComputed) if loss.root == root and not loss.gradient and loss.mark]
    if not all(event.copied for event in events) or not losses:
        return
    first, last = events[0].step, events[-1].step
    again = {loss.mark for loss in losses if loss.step == first} & {loss.mark for loss in losses if loss.step == last}
    message = (
        f"This copy of the model is evaluated after {first} and after {last} steps and has the initial weights each "
        "time: an average that is never updated."
    )
    outcome.find("average_never_updated", message, events[0].at, Level.FAILED if again else Level.NOTE)


CLAIM = TrainingClaim(
    Topic.EVALUATION, "averages_kept", "A copy of the model that is evaluated again and again changes with it.", judge
)
