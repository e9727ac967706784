"""Accumulated gradients are those of one large batch: every target of a step weighs the same."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, LossComputed, OptimizerStepped
from harness.training.places import Place
from harness.training.stream import Stream

NEAR = 0.02
"""Relative difference of weights that counts as none."""

Micro = tuple[BackwardRan, LossComputed, float, float]
"""A backward pass, its cross-entropy, the weight of one target and the factor of the whole loss."""


def judge(stream: Stream) -> Judgement:
    """The weights come from the graph: the derivative of what is differentiated with respect to each cross-entropy."""
    outcome = Judgement()
    groups = micro_batches(stream)
    whole = [group for group in groups if len(group) > 1]
    outcome.judged = len(whole)
    if 2 * len(whole) <= len(groups):
        return outcome
    uneven = [group for group in whole if _is_uneven(group)]
    totals = [sum(weight * loss.counted for _, loss, weight, _ in group) for group in whole]
    at, count = place_of_loss(whole[0]), len(whole[0])
    if 2 * len(uneven) > len(whole):
        weights = [weight for _, _, weight, _ in uneven[0]]
        counts = [loss.counted for _, loss, _, _ in uneven[0]]
        each = all(abs(factor - 1) < NEAR for _, _, _, factor in uneven[0])
        if each:
            _not_divided(outcome, at, count, totals[0])
            return outcome
        message = (
            f"The micro-batches of a step count {', '.join(map(str, counts))} targets, and their mean losses weigh the "
            f"same. A target of one weighs up to {max(weights) / min(weights):.3g} times as much as one of another. "
            "Divide the summed losses by the number of targets of the whole step."
        )
        outcome.find("accumulation_unequal_tokens", message, at, counts=counts, weights=weights)
        return outcome
    _total(outcome, whole, totals)
    return outcome


def _total(outcome: Judgement, whole: list[list[Micro]], totals: list[float]) -> None:
    """Whether the weights of all targets of a step add up to 1."""
    at, count = place_of_loss(whole[0]), len(whole[0])
    if any(loss.reduction == "sum" for group in whole for _, loss, _, _ in group):
        return
    if sum(abs(total - len(group)) < NEAR for total, group in zip(totals, whole, strict=True)) * 2 > len(whole):
        _not_divided(outcome, at, count, totals[0])
    elif sum(abs(t * len(g) - 1) < NEAR for t, g in zip(totals, whole, strict=True)) * 2 > len(whole):
        message = (
            f"The loss of each of {count} micro-batches is divided by {count} twice: the gradient of a step is "
            f"{totals[0]:.3g} times that of one large batch."
        )
        outcome.find("accumulation_divided_twice", message, at, total=totals[0])


def _not_divided(outcome: Judgement, at: Place, count: int, total: float) -> None:
    message = (
        f"The mean losses of {count} micro-batches are added up and not divided by their number: the gradient of a "
        f"step is {total:.3g} times that of one large batch."
    )
    outcome.find("accumulation_not_divided", message, at, micro_batches=count, total=total)


def micro_batches(stream: Stream) -> list[list[Micro]]:
    """For each step the backward passes that led to it, where each uses one cross-entropy at the same line."""
    losses = {event.index: event for event in stream.of(LossComputed)}
    found: list[list[Micro]] = []
    group: list[Micro] = []
    for event in stream.events:
        if isinstance(event, OptimizerStepped):
            places = {(backward.at, loss.at, loss.called_at) for backward, loss, _, _ in group}
            if len(places) == 1 and all(backward.carried for backward, *_ in group[1:]):
                found.append(group)
            group = []
        elif isinstance(event, BackwardRan):
            uses = [use for use in event.uses if use.index in losses and losses[use.index].plain]
            if len(uses) == 1 and uses[0].weight > 0:
                group.append((event, losses[uses[0].index], uses[0].weight, uses[0].coefficient))
    return found


def place_of_loss(group: list[Micro]) -> Place:
    """The line of the backward pass."""
    return group[0][0].at


def _is_uneven(group: list[Micro]) -> bool:
    weights = [weight for _, _, weight, _ in group]
    return max(weights) > (1 + NEAR) * min(weights)


CLAIM = TrainingClaim(
    Topic.GRADIENTS, "accumulated_gradient", "Accumulated gradients are those of one large batch.", judge
)
