"""The rates, the decay and the numbers of an optimiser are those that are meant."""

from __future__ import annotations

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.claims.every_parameter_trained import names_of
from harness.training.events import BackwardRan, LossComputed, OptimizerStepped, ScalerUsed, ScheduleStepped
from harness.training.finding import Level
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

HALF = ("bfloat16", "float16")
LOST = 0.33
"""So large a share of updates that rounding takes away is too much."""


def judge(stream: Stream) -> Judgement:
    """Looks at the groups of each optimiser over the steps."""
    outcome = Judgement()
    numbers = sorted({step.number for step in stream.watched_steps() if step.number >= 0})
    for number in numbers:
        steps = [step for step in stream.watched_steps() if step.number == number]
        outcome.judged += len(steps)
        _elsewhere(stream, outcome, steps)
        _groups(stream, outcome, steps)
        _too_late(stream, outcome, steps)
        _decay(outcome, steps)
        _numbers(outcome, steps)
        _rounding(outcome, steps)
        _scaled(stream, outcome, steps)
    _unscaled(stream, outcome)
    return outcome


def _assigned(stream: Stream, key: str, default: Place) -> Place:
    """The line that writes to a key of a group."""
    for file in sorted(stream.files):
        for line in source_of(file).subscripts_set(key):
            return Place(file, line)
    return default


def _elsewhere(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """A rate stands where no step reads it."""
    if any(step.attribute_rate for step in steps):
        message = "The rate is set on the optimiser itself, where no step reads it. Set it in each of `param_groups`."
        outcome.find("rate_not_applied", message, steps[0].at)
        return
    values: dict[str, set[float]] = {}
    for step in steps:
        for group in step.groups:
            for key, value in group.extra:
                values.setdefault(key, set()).add(value)
    rates = {tuple(group.rate for group in step.groups) for step in steps}
    changing = [key for key, found in values.items() if len(found) > 1]
    if changing and len(rates) == 1:
        message = f"A changing number is stored under `{changing[0]}`, which the optimiser does not read; `lr` stays."
        outcome.find("rate_not_applied", message, _assigned(stream, changing[0], steps[0].at), key=changing[0])


def _groups(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """The rate of one group changes, and that of another with the same first rate does not."""
    histories = list(zip(*[[group.rate for group in step.groups] for step in steps], strict=False))
    moving = [rates for rates in histories if len(set(rates)) > 1]
    still = [rates for rates in histories if len(set(rates)) == 1]
    defaults = {group.default_rate for group in steps[0].groups}
    scheduled = any(True for _ in stream.of(ScheduleStepped))
    if moving and still and len(steps) > 2 and not scheduled and {rates[0] for rates in still} <= defaults:
        message = f"The rate of {len(moving)} of {len(histories)} parameter groups changes; that of the others stays."
        outcome.find("rate_of_some_groups_only", message, _assigned(stream, "lr", steps[0].at))


def _too_late(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """The first step has the rate that the optimiser was built with, and the warm-up begins with the second."""
    rates = [step.groups[0].rate for step in steps if step.groups]
    if len(rates) < 3 or any(True for _ in stream.of(ScheduleStepped)) or steps[0].count is not None:
        return
    first, second, third = rates[:3]
    if first == steps[0].groups[0].default_rate and second < 0.75 * first and second < third <= first * (1 + 1e-9):
        message = (
            f"The first step has the rate {first:.3g} that the optimiser was built with; the warm-up begins with the "
            f"second step, at {second:.3g}. The rate is set after the step."
        )
        outcome.find("rate_set_after_step", message, _assigned(stream, "lr", steps[0].at), rates=rates[:4])


def _decay(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """Norms and biases are decayed: told, and failed only where groups show that they are not meant to be."""
    sizes = {each.name: each.dimensions for each in steps[0].parameters}
    decayed = [name for group in steps[0].groups if group.decay for name in group.names]
    spared = [name for group in steps[0].groups if not group.decay for name in group.names]
    vectors = sorted(name for name in decayed if sizes.get(name, 2) < 2)
    if not vectors:
        return
    at = steps[0].made_at or steps[0].at
    if spared:
        message = f"Weight decay acts on {names_of(vectors)}, although other parameters are spared it in a group."
        outcome.find("weight_decay_on_norms", message, at, parameters=vectors)
    elif len(steps[0].groups) == 1:
        message = f"Weight decay acts on norms and biases too ({names_of(vectors)})."
        outcome.find("weight_decay_on_norms", message, at, Level.NOTE, parameters=vectors)


def _numbers(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    first, at = steps[0], steps[0].made_at or steps[0].at
    if first.ascends:
        outcome.find("gradient_ascent", "The optimiser is built with maximize=True: it makes the loss larger.", at)
    if len(first.betas) == 2 and first.betas[0] > first.betas[1]:
        message = f"The decay of the first moment, {first.betas[0]:g}, is above that of the second, {first.betas[1]:g}."
        outcome.find("betas_swapped", message, at, betas=first.betas)
    if len(steps) > 2 and all(group.rate == 0 for step in steps for group in step.groups):
        outcome.find("rate_is_zero", "The rate is 0 in every step: nothing is trained.", at)


def _rounding(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """Most updates of 16-bit parameters are smaller than half of their last bit."""
    rates = [max((group.rate for group in step.groups), default=0.0) for step in steps]
    peak = steps[rates.index(max(rates))]
    after = [each for step in steps if step.index >= peak.index for each in step.parameters]
    half = [each for each in after if each.dtype in HALF and each.gradient]
    size = sum(each.size for each in half)
    lost = sum(each.lost * each.size for each in half) / size if size else 0.0
    if lost > LOST:
        message = (
            f"{lost:.0%} of the {half[0].dtype} parameters with a gradient keep their values in a step: the update is "
            "smaller than half of their last bit. Keep them in float32 and compute under autocast."
        )
        outcome.find("updates_rounded_away", message, peak.at, share=lost)


def _unscaled(stream: Stream, outcome: Judgement) -> None:
    """float16 without a scaler: small gradients become 0."""
    losses = [loss for loss in stream.of(LossComputed) if loss.gradient and loss.half == "float16"]
    if losses and not any(True for _ in stream.of(ScalerUsed)) and any(True for _ in stream.of(BackwardRan)):
        at = next(stream.of(BackwardRan)).at
        message = "The forward pass runs in float16 and no scaler is at work: small gradients become 0."
        outcome.find("float16_without_scaler", message, at)


def _scaled(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    if any(step.scaled for step in steps) and any(True for _ in stream.of(ScalerUsed)):
        message = "The step uses gradients of the scaled loss. Call `scaler.step(optimizer)` in its place."
        outcome.find("scaled_gradients_used", message, next(step.at for step in steps if step.scaled))


CLAIM = TrainingClaim(
    Topic.COVERAGE, "rates_applied", "Rates and decay act on the parameters that they are for.", judge
)
