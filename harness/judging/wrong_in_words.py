"""What wrong numbers are beside the right ones, in words, for a failure that no known mistake explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.core.claim import About, Claim
from harness.core.contract import Contract
from harness.core.implementation import Answer, Request
from harness.core.record import Status, Verdict
from harness.diagnosis.matching import Observation, is_wrong
from harness.judging.earlier_calls import without_a_name
from harness.numerics.gradient_relations import ComparedCall, in_words
from harness.numerics.output_words import output_in_words

if TYPE_CHECKING:
    from harness.judging.inspection import Inspection


def told_in_words(inspection: Inspection, claim: Claim, verdict: Verdict) -> Verdict:
    """A failed verdict without a name, with what is known of it in words: that it depends on earlier calls, or how the
    numbers are related to the right ones. A name of a component that depends on earlier calls is none."""
    if _is_a_gradient_s_relation(inspection, claim, verdict):
        words = _words(inspection, claim, verdict.component)
        return replace(verdict, finding=(), or_else=(), covers=(), message=words, explains=True) if words else verdict
    if verdict.status is Status.TIMED_OUT or (verdict.finding and not inspection.earlier.may_depend(verdict.component)):
        return verdict
    if kept := inspection.earlier.behind(claim, verdict):
        return without_a_name(verdict, kept)
    if verdict.status is not Status.FAILED or verdict.finding:
        return verdict
    verdict = replace(verdict, searched=_searched(inspection, verdict.component))
    words = _words(inspection, claim, verdict.component)
    return replace(verdict, message=words, explains=True) if words else verdict


def _is_a_gradient_s_relation(inspection: Inspection, claim: Claim, verdict: Verdict) -> bool:
    """Whether all that is known of wrong gradients is a relation that no catalogue holds: words say more of them."""
    found = {**inspection.diagnostician.relations, **inspection.by_result.relations}
    gradients = About.GRADIENT in claim.about and inspection.is_by_hand(verdict.component)
    return gradients and bool(verdict.finding) and all(name in found for name in verdict.finding)


def _words(inspection: Inspection, claim: Claim, component: str) -> str:
    contract, by_hand = inspection.catalogue.contracts[component], inspection.is_by_hand(component)
    cases = inspection.observations.of(component)
    return wrong_in_words(claim, contract, cases, inspection.bench.reference.run, by_hand)


def _searched(inspection: Inspection, component: str) -> tuple[int, ...]:
    """How many known mistakes, sets of them and relations were tried; empty where nothing was."""
    both = (inspection.diagnostician.searched.get(component), inspection.by_result.searched.get(component))
    found = max((one for one in both if one is not None), key=lambda one: one.mistakes, default=None)
    return (found.mistakes, found.together, found.relations) if found is not None and found.mistakes else ()


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
