"""When a question of a lesson is decided: an interval that lies wholly on one side of the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.core.lesson import Answer, Kind, Outcome, Question, Relation
from harness.numerics.intervals import mean_interval, mean_p, share_interval, share_p

LEVEL = 0.05
"""Share of questions decided wrongly, at most, over all looks together (Bonferroni)."""


def decide(question: Question, values: Sequence[float], looks: int) -> Answer:
    """The answer to a question from one value per seed, of which ``looks`` looks are taken in all.

    It holds where the whole interval lies on the claim's side of the threshold, and does not where the whole interval
    lies on the other side. A value that is not finite decides nothing. Where all seeds give the same value there is no
    spread to judge by, and the sign test decides whether they are enough.
    """
    estimate, low, high, p = _estimated(question, values, LEVEL / looks, looks)
    outcome = Outcome.OPEN
    if question.relation is Relation.ABOVE:
        outcome = _side(low > question.threshold, high < question.threshold)
    else:
        outcome = _side(high < question.threshold, low > question.threshold)
    if question.kind is Kind.MEAN and low == high and (p is None or p >= LEVEL):
        outcome = Outcome.OPEN
    return Answer(
        question.name,
        question.sentence,
        question.effect,
        question.unit,
        question.relation,
        question.threshold,
        question.kind,
        outcome,
        estimate,
        low,
        high,
        p,
        tuple(values),
        question.decided_by,
    )


def _side(with_claim: bool, against: bool) -> Outcome:
    return Outcome.HOLDS if with_claim else Outcome.REFUTED if against else Outcome.OPEN


def _estimated(
    question: Question, values: Sequence[float], alpha: float, looks: int
) -> tuple[float, float, float, float | None]:
    if not values or not all(map(math.isfinite, values)):
        return math.nan, -math.inf, math.inf, None
    if question.kind is Kind.EXACT:
        return math.fsum(values) / len(values), min(values), max(values), None
    if question.kind is Kind.SHARE:
        successes = round(math.fsum(values))
        share, low, high = share_interval(successes, len(values), alpha)
        return share, low, high, min(1.0, looks * share_p(successes, len(values), question.threshold))
    if len(values) < 2:
        return values[0], -math.inf, math.inf, None
    return *mean_interval(values, alpha), min(1.0, looks * mean_p(values, question.threshold))
