"""Runs a lesson: seeds one after the other, a look at the data now and then, until it is decided or its budget ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from harness.core.lesson import (
    Answer,
    Arm,
    Arms,
    CannotTakePart,
    Components,
    Curve,
    Lesson,
    LessonResult,
    Measured,
    Outcome,
    Point,
    Setting,
    outcome_of,
)
from harness.execution.time_limit import TimedOut
from harness.study.deciding import decide

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """``looks``: after how many seeds the data are looked at. ``seconds``: processor seconds for one lesson.

    ``share``: of the steps that the lesson takes; below 1 for tests.
    """

    looks: tuple[int, ...]
    seconds: float
    share: float = 1.0


EFFORTS = {
    "quick": Effort((4,), 40.0),
    "default": Effort((4, 8, 12), 120.0),
    "full": Effort((6, 12, 24, 48), 600.0),
}


def silent(text: str) -> None:
    """Show no progress."""


def run_lesson(
    lesson: Lesson, components: Components, effort: Effort, *, first_seed: int = 0, progress: Progress = silent
) -> LessonResult:
    """The result of a lesson. What a component raises ends it, and is told as its problem.

    The number of seeds depends on the answers at the looks, for which the intervals allow, and on the time they take.
    Raises CannotTakePart where a user's component does not fit.
    """
    begun, samples, problem = time.process_time(), list[Sample](), ""
    answers: tuple[Answer, ...] = ()
    for seeds in effort.looks:
        problem = _take(lesson, components, effort, samples, seeds, first_seed, begun, progress)
        answers = _answers(lesson, samples, len(effort.looks))
        decided = bool(answers) and all(answer.outcome is not Outcome.OPEN for answer in answers)
        if problem or decided or len(samples) < seeds:
            break
    own = tuple(name for name in lesson.components if components.is_own(name))
    return LessonResult(
        lesson.name,
        lesson.claim,
        lesson.source,
        lesson.setup,
        outcome_of(answers) if not problem else Outcome.OPEN,
        answers,
        len(samples),
        time.process_time() - begun,
        effort.seconds,
        lesson.axes.across,
        lesson.axes.up,
        lesson.axes.log_across,
        lesson.axes.log_up,
        joined([sample.curves for sample in samples]),
        tuple(f"{arm.name}: {arm.sentence}" for arm in lesson.arms),
        own,
        lesson.caveat,
        problem,
    )


def _take(
    lesson: Lesson,
    components: Components,
    effort: Effort,
    samples: list[Sample],
    seeds: int,
    first_seed: int,
    begun: float,
    progress: Progress,
) -> str:
    """Add samples until there are so many, or the budget has no room for one more. -> what stopped it, if anything."""
    while len(samples) < seeds:
        spent = time.process_time() - begun
        if samples and spent * (1 + 1 / len(samples)) > effort.seconds:
            return ""
        progress(f"{lesson.name}: seed {len(samples) + 1} of at most {effort.looks[-1]}, {spent:.0f} s")
        try:
            samples.append(run_once(lesson, Setting(components, first_seed + len(samples), effort.share)))
        except CannotTakePart:
            raise
        except (Exception, TimedOut) as error:  # whatever a component raises
            return f"{type(error).__name__}: {error}"
    return ""


@dataclass(frozen=True)
class Sample:
    """What one seed gave: a value for each question by its name, and the lines of the plot."""

    values: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]]


def run_once(lesson: Lesson, setting: Setting) -> Sample:
    """One seed. Random generators are restored afterwards; what draws from the global one draws from the seed."""

    def run(arm: Arm) -> Measured:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            return arm.run(setting)

    arms = Arms(lesson.arms, run)
    values = {question.name: float(question.take(arms)) for question in lesson.questions}
    return Sample(values, arms.curves())


def _answers(lesson: Lesson, samples: Sequence[Sample], looks: int) -> tuple[Answer, ...]:
    if not samples:
        return ()
    return tuple(decide(q, [sample.values[q.name] for sample in samples], looks) for q in lesson.questions)


def joined(curves: Sequence[Mapping[str, Sequence[tuple[float, float]]]]) -> tuple[Curve, ...]:
    """The lines of all seeds as one line each: at every x the mean, the smallest and the largest."""
    found: dict[str, dict[float, list[float]]] = {}
    for one in curves:
        for name, points in one.items():
            for x, y in points:
                found.setdefault(name, {}).setdefault(float(x), []).append(float(y))
    return tuple(
        Curve(name, tuple(Point(x, sum(ys) / len(ys), min(ys), max(ys)) for x, ys in sorted(line.items())))
        for name, line in found.items()
    )


def held_against(own: LessonResult, reference: LessonResult) -> LessonResult:
    """The result with the user's components, with the questions that fail with theirs and hold with the reference's."""
    right = {answer.name for answer in reference.answers if answer.outcome is Outcome.HOLDS}
    wrong = [answer.name for answer in own.answers if answer.outcome is Outcome.REFUTED and answer.name in right]
    if own.problem and not reference.problem:
        wrong = wrong or ["runs"]
    return replace(own, against=tuple(wrong))
