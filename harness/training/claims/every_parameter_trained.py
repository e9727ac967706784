"""Every parameter that the loss reaches is updated: it stands in one group, gets a gradient, and moves."""

from __future__ import annotations

from collections.abc import Iterable

from harness.reports.wording import listed
from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, ModelCalled, OptimizerStepped
from harness.training.finding import Level
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream

SHOWN = 4
"""So many names are shown."""


def judge(stream: Stream) -> Judgement:
    """Compares the parameters that gradients reach with those that optimisers hold and change."""
    outcome = Judgement()
    steps = stream.watched_steps()
    backwards = list(stream.of(BackwardRan))
    if not steps or not backwards:
        return outcome
    held = {each.name for event in steps for each in event.parameters}
    outcome.judged = len(held)
    if not any(event.reached for event in backwards) and not any(e.gradient for s in steps for e in s.parameters):
        message = "No gradient reaches a parameter: the loss that is differentiated has no graph to the model."
        outcome.find("loss_detached", message, backwards[0].at)
        return outcome
    _lacking(outcome, stream.called, steps, backwards, held)
    _without_gradient(stream, outcome, steps)
    _without_movement(outcome, steps)
    _frozen_later(outcome, stream, steps)
    _twice(outcome, steps)
    return outcome


def names_of(names: list[str]) -> str:
    """The first few names."""
    more = len(names) - SHOWN
    return listed([*names[:SHOWN], f"{more} more"] if more > 0 else names)


def _lacking(
    outcome: Judgement,
    called: Iterable[str],
    steps: list[OptimizerStepped],
    backwards: list[BackwardRan],
    held: set[str],
) -> None:
    """A parameter gets a gradient in every backward pass, and no optimiser holds it."""
    reached = [set(event.reached) for event in backwards if event.reached]
    if not reached:
        return
    always = set.intersection(*reached)
    lacking = sorted(always - held - {name for event in backwards for name in event.changed})
    if not lacking or any(step.number < 0 for step in steps):
        return
    made = steps[0].made_at or steps[0].at
    if not held & {name for one in reached for name in one} and not held & set(called):
        message = (
            f"The optimiser holds none of the parameters that the loss reaches. {names_of(lacking)} get a gradient, "
            "and no step changes them. The model was exchanged after the optimiser was built, or it holds copies."
        )
        outcome.find("optimizer_holds_other_parameters", message, made, parameters=lacking)
        return
    message = f"No optimiser holds {names_of(lacking)}: the loss has a gradient for each, and no step changes them."
    outcome.find("parameter_not_in_optimizer", message, made, parameters=lacking)


def _without_gradient(stream: Stream, outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """A parameter of the optimiser never gets a gradient, although its module is called."""
    seen: dict[str, list[float | None]] = {}
    for step in steps:
        for each in step.parameters:
            if not each.frozen:
                seen.setdefault(each.name, []).append(each.gradient)
    never = [name for name, gradients in seen.items() if all(one is None for one in gradients)]
    if not never or len(never) == len(seen):
        return
    called = [name for name in never if name in stream.called]
    if called:
        message = f"No gradient reaches {names_of(called)}, although the forward pass uses them: the graph is cut."
        at = stream.called[called[0]]
        cuts = source_of(at.file).cuts_after(at.line) if at else []
        outcome.find("gradient_missing", message, Place(at.file, cuts[0]) if cuts else at, parameters=called)
    without = [name for name in never if name in stream.called_without and name not in stream.called]
    if without:
        message = f"{names_of(without)} take part in the forward pass under no_grad alone: no gradient reaches them."
        outcome.find("gradient_missing", message, stream.called_without[without[0]], parameters=without)
    unused = [name for name in never if name not in stream.called and name not in without]
    if unused:
        message = f"The loss does not depend on {names_of(unused)}, which the optimiser holds."
        outcome.find("parameter_unused", message, steps[0].made_at or steps[0].at, Level.NOTE, parameters=unused)


def _frozen_later(outcome: Judgement, stream: Stream, steps: list[OptimizerStepped]) -> None:
    """A parameter of the optimiser requires a gradient at first, and none after an evaluation."""
    history: dict[str, list[tuple[int, bool]]] = {}
    for step in steps:
        for each in step.parameters:
            history.setdefault(each.name, []).append((step.index, each.frozen))
    later = sorted(name for name, all_ in history.items() if not all_[0][1] and all_[-1][1])
    if not later:
        return
    first = next(index for index, frozen in history[later[0]] if frozen)
    before = max(index for index, frozen in history[later[0]] if not frozen)
    if any(not call.gradient for call in stream.between(before, first, ModelCalled)):
        lines = [(file, line) for file in sorted(stream.files) for line in source_of(file).requires_grad_set()]
        at = Place(*lines[-1]) if lines else steps[0].at
        message = f"{names_of(later)} require a gradient at first, and none any more after an evaluation."
        outcome.find("requires_grad_changed", message, at, parameters=later)


def _without_movement(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """A parameter has a gradient in every step, or one that is always 0, and keeps its values."""
    rates = {name: group.rate for step in steps for group in step.groups if group.rate for name in group.names}
    kept: dict[str, list[bool]] = {}
    zero: dict[str, list[bool]] = {}
    for step in steps:
        for each in step.parameters:
            if each.gradient is not None and each.dtype not in ("bfloat16", "float16"):
                kept.setdefault(each.name, []).append(not each.moved)
                zero.setdefault(each.name, []).append(each.gradient == 0)
    still = sorted(name for name, each in kept.items() if all(each) and not all(zero[name]) and name in rates)
    if still and not all(step.number < 0 for step in steps):
        message = f"{names_of(still)} get a gradient, and no step changes them."
        outcome.find("parameter_never_moves", message, steps[0].at, parameters=still)
    empty = sorted(name for name, each in zero.items() if all(each) and len(each) > 1)
    if empty:
        message = f"The gradient of {names_of(empty)} is exactly 0 in every step."
        born = next((each.born for each in steps[0].parameters if each.name == empty[0]), Place())
        frozen = source_of(born.file).requires_grad_set() if born else []
        at = Place(born.file, frozen[0]) if frozen and any(each.beside_frozen for each in steps[0].parameters) else born
        outcome.find("gradient_zero", message, at or steps[0].made_at or steps[0].at, parameters=empty)


def _twice(outcome: Judgement, steps: list[OptimizerStepped]) -> None:
    """A parameter stands in an optimiser twice."""
    names = [name for group in steps[0].groups for name in group.names]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        message = f"The optimiser holds {names_of(double)} twice, so each step updates it twice."
        outcome.find("parameter_twice_in_optimizer", message, steps[0].made_at or steps[0].at, parameters=double)


CLAIM = TrainingClaim(
    Topic.COVERAGE,
    "every_parameter_trained",
    "Every parameter that the loss reaches is updated by an optimiser.",
    judge,
)
