"""Every gradient that is computed is used by a step, and every step uses one."""

from __future__ import annotations

import itertools

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, GradientsCleared, OptimizerStepped
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

LEAST = 2
"""Gradients that are thrown away once may be meant so: a step is skipped, or an evaluation needs gradients."""


def judge(stream: Stream) -> Judgement:
    """Looks at what comes between one step and the next."""
    outcome = Judgement()
    backwards, steps = list(stream.of(BackwardRan)), list(stream.of(OptimizerStepped))
    outcome.judged = len(backwards) + len(steps)
    if backwards and not steps:
        _no_step(stream, outcome, backwards)
    elif steps and not backwards:
        _no_backward(stream, outcome, steps)
    else:
        if not _too_early(outcome, backwards, stream.watched_steps()):
            _without_gradients(stream, outcome)
        _lost(stream, outcome, backwards)
        _twice(outcome, stream.watched_steps())
    return outcome


def _no_step(stream: Stream, outcome: Judgement, backwards: list[BackwardRan]) -> None:
    updates = [Place(f, line) for f in sorted(stream.files) for line in source_of(f).updates_from_gradients()]
    at = _named(stream, "step") or next(iter(updates), backwards[0].at)
    message = f"No optimiser makes a step: {len(backwards)} backward passes ran, and no parameter changed."
    outcome.find("step_missing", message, at, backward_passes=len(backwards))


def _no_backward(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    at = _named(stream, "backward") or steps[0].at
    message = "No backward pass ran before this step, so it has no gradients and changes nothing."
    outcome.find("backward_missing", message, at, steps=len(steps))


def _too_early(outcome: Judgement, backwards: list[BackwardRan], steps: list[OptimizerStepped]) -> bool:
    """Whether steps come before the backward passes whose gradients they are to use."""
    if (
        not steps
        or steps[0].number < 0
        or steps[0].index > backwards[0].index
        or any(e.gradient for e in steps[0].parameters)
    ):
        return False
    message = "The step comes before the backward pass, on gradients that were cleared or never computed."
    outcome.find("step_before_backward", message, steps[0].at)
    return True


def _named(stream: Stream, method: str) -> Place | None:
    """Where a method is named without a call."""
    found = (Place(file, line) for file in sorted(stream.files) for line in source_of(file).named_without_call(method))
    return next(found, None)


def _without_gradients(stream: Stream, outcome: Judgement) -> None:
    """Gradients are cleared after the backward pass and before the step."""
    for step in stream.watched_steps():
        if step.number < 0 or any(each.gradient for each in step.parameters):
            continue
        before = max((e.index for e in stream.of(BackwardRan) if e.index < step.index), default=-1)
        cleared = [c for c in stream.between(before, step.index, GradientsCleared) if c.unused]
        if before >= 0 and cleared:
            message = "Gradients are cleared here, after the backward pass and before the step, which finds none."
            outcome.find("gradients_cleared_before_step", message, cleared[0].at, step=step.step)
            return


def _lost(stream: Stream, outcome: Judgement, backwards: list[BackwardRan]) -> None:
    """The gradients of all micro-batches of a step but the last are thrown away."""
    pairs, lost = 0, []
    for first, second in itertools.pairwise(backwards):
        common = set(first.reached) & set(second.reached)
        if not common or second.moved or stream.between(first.index, second.index, OptimizerStepped):
            continue
        pairs += 1
        if not common & {*second.carried, *second.stale}:
            lost.append((first, second))
    steps = len({step.step for step in stream.watched_steps()})
    if len(lost) < LEAST or 2 * len(lost) <= pairs or 2 * len(lost) < steps:
        return
    first, second = lost[0]
    cleared = [c for c in stream.between(first.index, second.index, GradientsCleared) if c.unused]
    at = cleared[0].at if cleared else second.at
    message = (
        "Gradients are cleared between two backward passes of one step, so those of the first are never used: "
        f"{len(lost)} of {pairs} times."
    )
    outcome.find("gradients_cleared_before_step", message, at, times=len(lost))


def _twice(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """One optimiser makes two steps with the same gradients."""
    pairs = [
        (one, other)
        for one, other in itertools.pairwise(steps)
        if one.number == other.number >= 0 and other.since_backward == 0
    ]
    if pairs and 2 * len(pairs) >= len(steps) - 1:
        message = "This optimiser makes a second step with the gradients of the first: no backward pass ran in between."
        outcome.find("step_twice", message, pairs[0][1].at, times=len(pairs))


CLAIM = TrainingClaim(
    Topic.ORDER, "gradients_used", "Each gradient is used by one step, and each step has gradients.", judge
)
