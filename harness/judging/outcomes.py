"""What came of a claim, beyond passed and failed: which kind of red it is, and what was not checked at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.core.case import Case
from harness.core.claim import About, Claim, Crashed, Violation
from harness.core.contract import Contract
from harness.core.grounds import is_thin
from harness.core.implementation import Offer, OfferKind, Phase
from harness.core.record import Cause, Status, Verdict
from harness.judging.cases_given import CasesGiven
from harness.judging.evidence import Evidence


def not_checked(base: Verdict, needs: str) -> Verdict:
    """A misfit, which is no verdict on the code. ``needs``: what it needs, in words."""
    return replace(base, status=Status.NOT_CHECKED, cause=Cause.MISFIT, message=needs, error=None)


def takes_none(offer: Offer, given: CasesGiven | None) -> bool:
    """Whether the implementation takes none of the cases of a component that is there."""
    return offer.kind is not OfferKind.INSIDE and given is not None and bool(given.generated) and not given.given


def why_barely(contract: Contract, claim: Claim, judged: Sequence[Case], given: CasesGiven | None) -> str:
    """Why a pass says next to nothing: most cases were refused, or all that could tell. Empty where it says enough.

    Where nothing was refused, the cases are those that the contract asks for, however few.
    """
    if given is None or not given.refused:
        return ""
    most = next(iter(given.reasons()))
    shared = claim.cases is None and "invalid" not in claim.tags
    number = len(given.given)
    if shared and number < given.wanted and is_thin(number, len(given.generated)):
        return f"only {number} of {len(given.generated)} cases could be given: {most}"
    compared = shared and About.NUMBERS in claim.about
    for quorum in (*claim.quorum, *(contract.quorum if compared else ())):
        if not any(map(quorum.tells, judged)):
            return f"no case that could be given has {quorum.case}: {most}"
    return ""


def cause_of(about: Sequence[About], status: Status, returned: str) -> Cause:
    """What kind of red a broken claim is. ``returned``: what came back, where that is no numbers at all."""
    if status is Status.CRASHED:
        return Cause.OWN_CRASH
    compares = bool({About.NUMBERS, About.ROUNDING} & set(about)) and not returned
    return Cause.WRONG_NUMBERS if compares else Cause.BROKEN_CLAIM


STRICT = "Raise an error there, so that a caller's slip is seen; no legal call depends on it."
WIDE = (
    "Its code names no 16-bit dtype, so it is not held to this. Compute in float32 inside before you use it in "
    "bfloat16 or float16; if it is meant for them, declare half_precision = true under [tool.plumbline]."
)
"""Why nobody is held to a claim, and what to do."""


def as_advice(verdict: Verdict, claim: Claim, for_half_precision: bool) -> Verdict:
    """The verdict; advice where what is broken is strictness about calls that the contract forbids, or is 16-bit
    precision. ``for_half_precision``: whether the code is meant for 16-bit numbers."""
    if not verdict.failing:
        return verdict
    if "invalid" in claim.tags and verdict.status is Status.FAILED:
        return replace(verdict, status=Status.ADVICE, cause=Cause.NONE, advice=STRICT)
    if verdict.half_precision and not for_half_precision:
        return replace(verdict, status=Status.ADVICE, cause=Cause.NONE, advice=WIDE)
    return verdict


def told_as_advice(shown: Verdict, broken: Sequence[tuple[Case, Violation]]) -> Verdict:
    """The verdict on a claim of which only what nobody is held to is broken, in these cases."""
    return replace(shown, status=Status.ADVICE, cause=Cause.NONE, advice=broken[0][1].advice, failed_cases=len(broken))


def is_about_gradients(claim: Claim, broken: Sequence[tuple[Case, Exception]], evidence: Sequence[Evidence]) -> bool:
    """Whether the backward pass is broken: the claim or what came of it says so, or nothing else was asked for."""
    for _, problem in broken:
        crash = problem.crash if isinstance(problem, Crashed) else None
        phase = crash.phase if crash else problem.phase if isinstance(problem, Violation) else Phase.FORWARD
        if not (phase is Phase.BACKWARD or (crash is None and About.GRADIENT in claim.about)):
            return bool(evidence) and all(item.request.gradients is not None for item in evidence)
    return True
