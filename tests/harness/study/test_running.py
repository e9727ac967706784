"""Seeds, looks, budgets, and what a component that raises does."""

from __future__ import annotations

from dataclasses import replace

import torch
from support_lessons import CONTRACTS

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Outcome, Question, Setting
from harness.study.components import ReferenceComponents
from harness.study.running import Effort, held_against, run_lesson

COMPONENTS = ReferenceComponents(CONTRACTS)
RUN: list[str] = []


def arm(name: str, level: float, noise: float = 0.01) -> Arm:
    def run(setting: Setting) -> Measured:
        RUN.append(name)
        value = level + noise * float(torch.randn(()))
        return Measured({"loss": value}, {name: [(0, value), (1, value / 2)]})

    return Arm(name, "", run)


def lesson(*arms: Arm, threshold: float = 0.5) -> Lesson:
    def take(arms: Arms) -> float:
        return arms.difference("a", "b", "loss")

    return Lesson(
        "tiny", "a is above b", "", "", arms, (Question("gap", "a > b", "gap", take, threshold),), Axes("", "")
    )


TINY = lesson(arm("a", 2.0), arm("b", 1.0, 0.02), arm("unused", 0.0))


def test_it_stops_at_the_first_look_that_decides() -> None:
    """Arms that no question asks for are not run, and each arm is run once per seed."""
    RUN.clear()
    result = run_lesson(TINY, COMPONENTS, Effort((4, 8, 12), 60.0))
    assert (result.outcome, result.seeds, RUN) == (Outcome.HOLDS, 4, ["a", "b"] * 4)
    assert [curve.name for curve in result.curves] == ["a", "b"] and len(result.curves[0].points) == 2
    point = result.curves[0].points[0]
    assert point.low < point.y < point.high


def test_an_effect_at_the_threshold_uses_all_seeds() -> None:
    result = run_lesson(replace(TINY, questions=lesson(threshold=1.0).questions), COMPONENTS, Effort((4, 8), 60.0))
    assert (result.outcome, result.seeds) == (Outcome.OPEN, 8)


def test_a_budget_that_is_spent_ends_it() -> None:
    """One seed is always run."""
    result = run_lesson(TINY, COMPONENTS, Effort((4, 8), 1e-9))
    assert (result.outcome, result.seeds) == (Outcome.OPEN, 1)


def test_the_same_seed_gives_the_same_result_and_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = (run_lesson(TINY, COMPONENTS, Effort((4,), 60.0), first_seed=3) for _ in range(2))
    assert first.answers == second.answers and torch.equal(before, torch.get_rng_state())
    assert first.answers != run_lesson(TINY, COMPONENTS, Effort((4,), 60.0), first_seed=4).answers


def test_what_a_component_raises_is_told() -> None:
    def broken(setting: Setting) -> Measured:
        raise ValueError("no such rank")

    result = run_lesson(lesson(arm("a", 1.0), Arm("b", "", broken)), COMPONENTS, Effort((4,), 60.0))
    assert (result.outcome, result.problem) == (Outcome.OPEN, "ValueError: no such rank")
    right = run_lesson(TINY, COMPONENTS, Effort((4,), 60.0))
    assert held_against(result, right).against == ("runs",)


def test_only_what_the_reference_passes_is_held_against_a_user() -> None:
    right = run_lesson(TINY, COMPONENTS, Effort((4,), 60.0))
    wrong = run_lesson(lesson(arm("a", 1.0), arm("b", 1.0, 0.02)), COMPONENTS, Effort((4,), 60.0))
    assert wrong.outcome is Outcome.REFUTED
    assert held_against(wrong, right).against == ("gap",)
    assert held_against(wrong, wrong).against == () and held_against(right, right).against == ()
