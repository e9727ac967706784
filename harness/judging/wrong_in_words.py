"""What wrong numbers are beside the right ones, in words, for a failure that no known mistake explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.core.claim import About, Claim
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.diagnosis.matching import Observation, is_wrong
from harness.numerics.gradient_relations import ComparedCall, in_words
from harness.numerics.output_words import output_in_words


def wrong_in_words(
    claim: Claim,
    contract: Contract,
    cases: Sequence[Observation],
    reference: Callable[[Request], Answer],
    by_hand: bool,
) -> str:
    """How the output, or the gradients, are related to the right ones over all cases; empty where that is not plain.

    ``by_hand``: whether a hand-written function gives the gradients, which may be wrong beside a wrong output.
    """
    forwards = [o for o in cases if o.request.gradients is None]
    is_wrong_forwards = any(is_wrong(o) for o in forwards)
    if About.GRADIENT not in claim.about:
        compares = not claim.about.isdisjoint({About.NUMBERS, About.ROUNDING})
        return output_in_words(contract, _compared(forwards)) if compares and is_wrong_forwards else ""
    if claim.about.isdisjoint({About.NUMBERS, About.CONSISTENCY}) or (is_wrong_forwards and not by_hand):
        return ""
    return in_words(contract, _compared([o for o in cases if o.request.gradients is not None]), reference)


def _compared(observations: Sequence[Observation]) -> list[ComparedCall]:
    return [ComparedCall(o.request, o.answer, o.reference, o.tolerance) for o in observations]
