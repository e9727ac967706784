"""A schedule goes on once a step or once an epoch, after the step of its own optimiser."""

from __future__ import annotations

import ast
import itertools

from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.events import BackwardRan, OptimizerStepped, ScalerUsed, SchedulerMade, ScheduleStepped
from harness.training.places import Place
from harness.training.source import source_of
from harness.training.stream import Stream


def judge(stream: Stream) -> Judgement:
    """Order and count of scheduler steps, and whose rates they set."""
    outcome = Judgement()
    schedules, steps = list(stream.of(ScheduleStepped)), list(stream.of(OptimizerStepped))
    made = list(stream.of(SchedulerMade))
    outcome.judged = len(schedules) + len(made)
    if not steps:
        return outcome
    if made and not schedules:
        _never(stream, outcome, made[0])
    for number in sorted({each.number for each in schedules}):
        mine = [each for each in schedules if each.number == number]
        own = [step for step in steps if step.number == mine[0].optimizer]
        if not own:
            _of_another(outcome, mine, steps)
        elif not list(stream.of(ScalerUsed)):
            _too_early(outcome, mine, own)
            _too_often(stream, outcome, mine, own)
        if own:
            _length(outcome, mine, own)
    return outcome


def _never(stream: Stream, outcome: Judgement, made: SchedulerMade) -> None:
    """A scheduler that no line of its file advances or passes on."""
    if not made.at:
        return
    source = source_of(made.at.file)
    name = source.assigned_at(made.at.line)
    named = source.named_without_call("step")
    uses = source.uses_of(name) if name else {"": 1}
    if named and name and any(_is_step_of(source.tree, line, name) for line in named):
        line = next(line for line in named if _is_step_of(source.tree, line, name))
        message = "`step` of the scheduler is named here but not called: the rate never changes."
        outcome.find("scheduler_never_stepped", message, Place(made.at.file, line))
    elif set(uses) <= {"state_dict", "load_state_dict", "get_last_lr", "get_lr", "last_epoch", "base_lrs"}:
        message = f"This {made.kind} is never advanced: no line calls its `step`, and the rate never changes."
        outcome.find("scheduler_never_stepped", message, made.at)


def _is_step_of(tree: ast.AST, line: int, name: str) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.lineno == line
        and node.attr == "step"
        and ast.unparse(node.value).split(".")[-1] == name
        for node in ast.walk(tree)
    )


def _of_another(outcome: Judgement, mine: list[ScheduleStepped], steps: list[OptimizerStepped]) -> None:
    if len({step.step for step in steps}) >= 2:
        message = (
            f"This {mine[0].kind} sets the rate of an optimiser that makes no step. "
            "The rate of the optimiser that makes the steps never changes."
        )
        outcome.find("scheduler_of_other_optimizer", message, mine[0].at)


def _too_early(outcome: Judgement, mine: list[ScheduleStepped], own: list[OptimizerStepped]) -> None:
    early = [each for each in mine if each.index < own[0].index]
    later = [each for each in mine if each.index > own[0].index and each.at == early[0].at] if early else []
    if len(early) == 1 and (later or len(own) == 1) and early[0].step == own[0].step:
        message = (
            "The schedule goes on before the optimiser's step: its first rate is never used. "
            "`scheduler.step()` belongs after `optimizer.step()`."
        )
        outcome.find("scheduler_before_optimizer", message, early[0].at)


def _length(outcome: Judgement, mine: list[ScheduleStepped], own: list[OptimizerStepped]) -> None:
    """A schedule whose length is not that of the run."""
    late = [each for each in mine if each.past_its_end]
    if len(late) > 1 and late[-1].after > late[0].before:
        message = (
            f"This {mine[0].kind} is past its end: the rate rises again. Its length is not counted in these steps."
        )
        outcome.find("schedule_past_its_end", message, late[0].at)
    before = [step for step in own if step.index < mine[0].index]
    if mine[0].wants_every_step and len(before) > 2:
        message = (
            f"This {mine[0].kind} goes on once in {len(before)} steps: its length is counted in steps of the optimiser."
        )
        outcome.find("scheduler_per_epoch", message, mine[0].at, steps=len(before))


def _too_often(stream: Stream, outcome: Judgement, mine: list[ScheduleStepped], own: list[OptimizerStepped]) -> None:
    """Once for each micro-batch, or twice in a step."""
    often = per_micro = 0
    for first, second in itertools.pairwise(own):
        count = sum(first.index < each.index < second.index for each in mine)
        micro = len(stream.between(first.index, second.index, BackwardRan))
        often += count > 1
        per_micro += micro > 1 and count in (micro, micro + 1)
    if per_micro and 2 * per_micro >= len(own) - 1:
        message = "The schedule goes on after each micro-batch, several times for each step of the optimiser."
        outcome.find("scheduler_stepped_too_often", message, mine[0].at, times=per_micro)
    elif often and 2 * often >= len(own) - 1:
        message = "The schedule goes on several times for each step of the optimiser."
        outcome.find("scheduler_stepped_too_often", message, mine[1].at, times=often)


CLAIM = TrainingClaim(
    Topic.ORDER, "schedule_follows_step", "A schedule goes on after the step of its own optimiser.", judge
)
