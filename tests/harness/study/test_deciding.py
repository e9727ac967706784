"""When a question is decided, and how often wrongly."""

from __future__ import annotations

import math
import random

import pytest

from harness.core.lesson import Kind, Outcome, Question, Relation, outcome_of
from harness.numerics.intervals import mean_interval, share_interval, t_quantile, t_two_sided
from harness.study.deciding import decide


def question(threshold: float = 0.1, relation: Relation = Relation.ABOVE, kind: Kind = Kind.MEAN) -> Question:
    return Question("q", "It grows.", "growth", lambda arms: 0.0, threshold, relation=relation, kind=kind)


def test_students_t_and_the_exact_binomial_are_those_of_the_tables() -> None:
    """Against printed tables: Abramowitz & Stegun 26.10; Clopper & Pearson for 3 of 10."""
    assert t_quantile(0.05, 5) == pytest.approx(2.570582, abs=1e-6)
    assert t_two_sided(2.0, 3) == pytest.approx(0.139326, abs=1e-6)
    assert share_interval(3, 10, 0.05) == pytest.approx((0.3, 0.066740, 0.652453), abs=1e-6)
    assert share_interval(6, 6, 0.05) == pytest.approx((1.0, 0.025 ** (1 / 6), 1.0))
    assert mean_interval([1.0, 2.0, 3.0, 4.0], 0.05) == pytest.approx((2.5, 0.445740, 4.554260), abs=1e-6)


def test_each_side_of_the_threshold_decides_and_none_leaves_it_open() -> None:
    assert decide(question(), [0.5, 0.51, 0.49, 0.5], 1).outcome is Outcome.HOLDS
    assert decide(question(), [0.01, 0.0, -0.01, 0.0], 1).outcome is Outcome.REFUTED
    assert decide(question(), [0.5, -0.5, 0.3, -0.2], 1).outcome is Outcome.OPEN
    assert decide(question(relation=Relation.BELOW), [0.01, 0.0, -0.01, 0.0], 1).outcome is Outcome.HOLDS
    assert decide(question(relation=Relation.BELOW), [0.5, 0.51, 0.49, 0.5], 1).outcome is Outcome.REFUTED


@pytest.mark.parametrize("values", [[], [0.5], [math.nan] * 9, [0.5, math.inf, 0.5], [0.0] * 4])
def test_too_little_decides_nothing(values: list[float]) -> None:
    """One seed, values that are no numbers, four equal values."""
    assert decide(question(), values, 1).outcome is Outcome.OPEN


def test_many_equal_values_decide() -> None:
    """Arms that are the same bit for bit differ by 0 with every seed: the sign test says how many seeds that takes."""
    found = decide(question(), [0.0] * 8, 3)
    assert found.outcome is Outcome.REFUTED and found.p == pytest.approx(3 * 2 / 2**8)


def test_shares_are_decided_by_the_exact_interval() -> None:
    assert decide(question(0.5, kind=Kind.SHARE), [1.0] * 8, 3).outcome is Outcome.HOLDS
    assert decide(question(0.5, kind=Kind.SHARE), [1.0] * 4, 3).outcome is Outcome.OPEN
    assert decide(question(0.5, kind=Kind.SHARE), [0.0] * 8, 3).outcome is Outcome.REFUTED


def test_a_count_needs_no_spread() -> None:
    assert decide(question(0.25, kind=Kind.EXACT), [0.26], 3).outcome is Outcome.HOLDS


def test_looking_several_times_decides_wrongly_no_more_often() -> None:
    """An effect exactly at the threshold: either verdict is wrong. Three looks, 5 % together; 2000 runs."""
    draws, wrong = random.Random(5), 0
    for _ in range(2000):
        values = [0.1 + draws.gauss(0, 1) for _ in range(12)]
        wrong += any(decide(question(), values[:n], 3).outcome is not Outcome.OPEN for n in (4, 8, 12))
    assert wrong <= 0.065 * 2000  # 5 % and three standard errors


def test_a_lesson_holds_where_all_its_parts_do() -> None:
    holds, refuted, open_ = (
        decide(question(), values, 1) for values in ([0.5, 0.51, 0.49], [0.01, 0.0, -0.01], [0.5, -0.5, 0.0])
    )
    assert outcome_of([holds, holds]) is Outcome.HOLDS
    assert outcome_of([holds, open_]) is Outcome.OPEN
    assert outcome_of([holds, open_, refuted]) is Outcome.REFUTED
    assert outcome_of([]) is Outcome.OPEN
