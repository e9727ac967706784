"""Lessons in tests: with the reference, with some of its components replaced, at few seeds and few steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.core.lesson import Answer, Arm, Lesson, LessonResult, Outcome, Relation
from harness.judging.catalogue import load_catalogue
from harness.study.components import ReferenceComponents
from harness.study.running import Effort, run_lesson
from harness.study.studying import lessons

CONTRACTS = load_catalogue().contracts
FULL = bool(os.environ.get("PLUMBLINE_FULL"))
SEEDS = 6 if FULL else 1
"""One seed shows on which side of the threshold a lesson lies; six decide it."""


def only(lesson: Lesson, *names: str) -> Lesson:
    """The lesson with these questions alone: only the arms that they need are run."""
    questions = tuple(question for question in lesson.questions if question.name in names)
    assert len(questions) == len(names), names
    return replace(lesson, questions=questions)


def with_arm(lesson: Lesson, name: str, like: str) -> Lesson:
    """The lesson with one arm that is run like another one."""
    run = next(arm.run for arm in lesson.arms if arm.name == like)
    arms = tuple(Arm(arm.name, arm.sentence, run) if arm.name == name else arm for arm in lesson.arms)
    return replace(lesson, arms=arms)


def ran(
    lesson: str | Lesson, *names: str, seeds: int = 3, share: float = 1.0, **instead: Callable[..., Any]
) -> LessonResult:
    """What comes of a lesson, of these questions alone where some are named, with other components ``instead``."""
    torch.set_num_threads(1)
    whole = lessons()[lesson] if isinstance(lesson, str) else lesson
    components = ReferenceComponents(CONTRACTS, instead)
    result = run_lesson(only(whole, *names) if names else whole, components, Effort((seeds,), 600.0, share))
    assert not result.problem, result.problem
    return result


def answer(*arguments: Any, **options: Any) -> Answer:
    """The answer to the one question that is asked."""
    (found,) = ran(*arguments, **options).answers
    return found


def turns(
    lesson: str, name: str, sabotaged: Lesson | None = None, *, share: float = 1.0, **instead: Callable[..., Any]
) -> Answer:
    """The answer of a sabotaged lesson, after the right one. Asserts that every seed lies on the claim's side as it is,
    and none where the lesson or a component of it is sabotaged; with PLUMBLINE_FULL=1 also the verdicts."""
    right = answer(lesson, name, seeds=SEEDS, share=share)
    wrong = answer(sabotaged or lesson, name, seeds=SEEDS, share=share, **instead)
    assert all(_is_claimed(right, value) for value in right.values), right
    assert not any(_is_claimed(wrong, value) for value in wrong.values), wrong
    assert not FULL or (right.outcome is Outcome.HOLDS and wrong.outcome is not Outcome.HOLDS), (right, wrong)
    return wrong


def _is_claimed(found: Answer, value: float) -> bool:
    return value > found.threshold if found.relation is Relation.ABOVE else value < found.threshold
