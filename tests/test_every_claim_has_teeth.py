"""Every claim has been seen to pass and to fail: a check that cannot fail has no place here.

A claim of one component fails on the known mistake that it names in ``broken_by``: `plumbline matrix` demands that of
each of them in the same command, so the usual run takes a few. A generic claim fails on its sabotage: the usual run
takes three components for each. ``PLUMBLINE_FULL=1`` runs every pair.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache

import pytest
from support_lanes import sample
from support_modules import module_executor

from harness.commands import matrix
from harness.core.claim import Claim
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
PAIRS = [(name, claim) for name in KNOWN.contracts for claim in KNOWN.claims_of(name)]
CASES, MODULE_CASES = 20, 8
GENERIC = {claim.name for claim in KNOWN.claims.values()}


def kind_of(pair: tuple[str, Claim]) -> str:
    """Pairs of which a few prove the point: one generic claim, or the claims of one component that a mistake breaks."""
    component, claim = pair
    if claim.broken_by:
        return component
    return claim.name if claim.name in GENERIC else f"{component}::{claim.name}"


CHOSEN = sample(PAIRS, lambda pair: f"{pair[0]}::{pair[1].name}", kind_of, 3)


ADVICE = ("gelu::finite_in_float16", "checkpoint::file_objects_work_or_are_refused")
"""What nobody is held to: broken, it is told as advice."""


@lru_cache
def right(cases: int | None) -> Inspection:
    """The reference beside itself: what it answers is worked out once for all pairs."""
    return Inspection(KNOWN, reference_executor(KNOWN.contracts), seed=3, cases=cases)


@lru_cache
def right_modules() -> Inspection:
    """The components that we have as torch modules, for the claims that are about modules."""
    return Inspection(KNOWN, module_executor(KNOWN.contracts), seed=3, cases=MODULE_CASES, like=right(MODULE_CASES))


def broken_by(claim: Claim, component: str, modules: bool) -> Inspection:
    """The reference, or our modules, with what must break the claim."""
    if claim.broken_by:
        mistake = KNOWN.mistake(f"{component}.{claim.broken_by}")
        like = right(None) if not mistake.under else matrix.right(3, None, mistake)
        executor = reference_executor(KNOWN.contracts, (*like.edits, *mistake.edits))
        return Inspection(KNOWN, executor, seed=3, variants=like.variants, like=like)
    if modules:
        executor = module_executor(KNOWN.contracts, middleware=fresh(claim))
        return Inspection(KNOWN, executor, seed=3, cases=MODULE_CASES, like=right(MODULE_CASES))
    executor = reference_executor(KNOWN.contracts, middleware=fresh(claim))
    return Inspection(KNOWN, executor, seed=3, cases=CASES, like=right(CASES))


def fresh(claim: Claim):
    """Sabotages keep counters; a new one for every test."""
    module = sys.modules.get(claim.test.__module__)
    if module is None or claim.sabotage is None or not hasattr(module, "CLAIM"):
        return claim.sabotage
    return importlib.reload(module).CLAIM.sabotage


@pytest.mark.parametrize(("component", "claim"), CHOSEN, ids=lambda v: v if isinstance(v, str) else v.name)
def test_it_holds_for_the_reference_and_breaks_when_broken(component: str, claim: Claim) -> None:
    """The reference keeps every claim, and the claim's own sabotage or known mistake violates it."""
    contract, modules = KNOWN.contracts[component], False
    verdict, _ = right(CASES).bench.judge(contract, claim, shrink=False)
    if verdict.status == Status.NOT_APPLICABLE and claim.tags & {"module", "stateful"}:
        modules = right_modules().implementation.offers(component) is not None
        if not modules:
            pytest.skip(f"no module of {component} to try a claim about modules on")
        verdict, _ = right_modules().bench.judge(contract, claim, shrink=False)
    assert verdict.status == Status.PASSED, verdict.message
    assert verdict.cases > 0, "no case says anything about it"
    verdict, _ = broken_by(claim, component, modules).bench.judge(contract, claim, shrink=False)
    is_advice = verdict.status == Status.ADVICE and f"{component}::{claim.name}" in ADVICE
    assert verdict.failing or is_advice, f"{claim.broken_by or 'its sabotage'} does not break it: {verdict.status}"


def test_every_claim_says_what_breaks_it() -> None:
    """A generic claim has a sabotage; a component's own claim names a known mistake or has a sabotage."""
    idle = [f"{name}::{claim.name}" for name, claim in PAIRS if not claim.broken_by and claim.sabotage is None]
    assert not idle


def test_claims_are_sentences_and_names_are_unique() -> None:
    """What a person reads is a sentence in lower case without a full stop, and no component has two claims of a
    name."""
    for name in KNOWN.contracts:
        names = [claim.name for claim in KNOWN.claims_of(name)]
        assert len(names) == len(set(names)), name
    assert all(claim.sentence and not claim.sentence.endswith(".") for _, claim in PAIRS)


def test_random_claims_state_their_odds_and_the_sum_is_small() -> None:
    """Each random claim rejects correct code with probability at most 1e-9, all together at most 1e-6; power 0.999."""
    odds = [claim for _, claim in PAIRS if claim.false_alarm]
    assert all(claim.false_alarm <= 1e-9 for claim in odds)
    assert sum(claim.false_alarm for claim in odds) <= 1e-6
    assert all(claim.power is not None and claim.power >= 0.999 for claim in odds)
