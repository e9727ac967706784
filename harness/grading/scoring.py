"""Points: what was judged, weighed by the rubric. Only what holds counts; nothing is excused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.core.forms import joined, names_in
from harness.core.hint import Hint
from harness.core.record import RunRecord, Status, Verdict
from harness.grading.checks import ROOT, Checks
from harness.grading.judging import NOT_JUDGED, REFUSED, Judged
from harness.grading.rubric import Part, Rubric

UNREACHED = "not judged"
SAYS_NOTHING = (Status.NOT_APPLICABLE, Status.ADVICE)
"""Statuses of checks that nobody gets, or loses, a point for."""
DIGITS = 2
"""Points are rounded to so many."""


@dataclass(frozen=True)
class ClaimGrade:
    """One claim of one component: its status, what it weighs, and why it was not judged where it was not."""

    name: str
    sentence: str
    status: str
    weight: float
    why: str = ""


@dataclass(frozen=True)
class PartGrade:
    """One component. ``state``: passed, failed, to do, not applicable, not judged or judged in part.

    ``why``: what decided the score, beside the claims.
    """

    part: Part
    score: float
    state: str
    claims: tuple[ClaimGrade, ...]
    why: str = ""

    @property
    def counted(self) -> list[ClaimGrade]:
        """What says something about the code."""
        return [c for c in self.claims if c.status not in SAYS_NOTHING and c.weight > 0]

    @property
    def held(self) -> int:
        return sum(c.status == Status.PASSED for c in self.counted)


@dataclass(frozen=True)
class Grade:
    """One submission under a rubric. ``findings``: the known mistakes in it, by name."""

    judged: Judged
    rubric: Rubric
    parts: tuple[PartGrade, ...]
    findings: tuple[str, ...]
    record: RunRecord

    @property
    def name(self) -> str:
        return self.judged.name

    @cached_property
    def total(self) -> float:
        return round(sum(part.score for part in self.parts), DIGITS)

    @property
    def remarks(self) -> list[str]:
        """What a person who grades should look at."""
        return [*self.judged.suspicious, *([self.judged.why] if self.judged.why else [])]


def grade(judged: Judged, rubric: Rubric, checks: Checks, seed: int) -> Grade:
    """The points of a submission."""
    verdicts = {(v.component, v.claim): v for v in judged.verdicts}
    parts = tuple(_part(part, verdicts, judged, checks) for part in rubric.parts)
    named = dict.fromkeys(name for v in judged.verdicts if v.failing for name in v.finding)
    return Grade(judged, rubric, parts, tuple(named), _record(judged, rubric, checks, seed))


def _part(part: Part, verdicts: Mapping[tuple[str, str], Verdict], judged: Judged, checks: Checks) -> PartGrade:
    claims = tuple(
        _claim(part, claim, sentence, verdicts.get((part.name, claim)), judged)
        for claim, sentence in checks.claims[part.name].items()
    )
    found = PartGrade(part, 0.0, "", claims)
    score, why = _score(part, found.counted, claims, judged)
    return PartGrade(part, score, _state(found.counted, claims), claims, why or _why(found, judged))


def _claim(part: Part, name: str, sentence: str, verdict: Verdict | None, judged: Judged) -> ClaimGrade:
    weight = part.weights.get(name, 1.0)
    if verdict is None:
        why = judged.why if judged.state in (NOT_JUDGED, REFUSED) else judged.unreached.get(f"{part.name}::{name}", "")
        return ClaimGrade(name, sentence, UNREACHED, weight, why)
    if verdict.where.startswith(str(ROOT / "reference_model")):
        return ClaimGrade(name, sentence, UNREACHED, weight, "it is the reference itself")
    return ClaimGrade(name, sentence, verdict.status, weight, verdict.message if verdict.status.is_open else "")


def _score(
    part: Part, counted: Sequence[ClaimGrade], claims: Sequence[ClaimGrade], judged: Judged
) -> tuple[float, str]:
    """Points, and what decided where it was not the share of claims that hold."""
    declared = [form for form in names_in(judged.variants.get(part.name, "")) if form not in names_in(part.variant)]
    if part.variants is not None and (beyond := [form for form in declared if form not in part.variants]):
        return 0.0, f"it declares the variant {joined(beyond)}, which the rubric does not allow"
    status = {claim.name: claim.status for claim in claims}
    if broken := [name for name in part.required if status[name] != Status.PASSED]:
        return 0.0, f"required and {status[broken[0]]}: {broken[0]}"
    whole = sum(claim.weight for claim in counted)
    held = sum(claim.weight for claim in counted if claim.status == Status.PASSED)
    if not whole or (part.all_or_nothing and held < whole):
        return 0.0, "all or nothing" if part.all_or_nothing and held else ""
    return round(part.points * held / whole, DIGITS), ""


def _state(counted: Sequence[ClaimGrade], claims: Sequence[ClaimGrade]) -> str:
    statuses = {claim.status for claim in counted} or {claim.status for claim in claims}
    if statuses == {UNREACHED}:
        return UNREACHED
    if statuses & {Status.FAILED, Status.CRASHED, Status.TIMED_OUT}:
        return Status.FAILED
    for status in (Status.TO_DO, Status.NOT_CHECKED, UNREACHED, Status.BARELY_CHECKED, Status.PASSED):
        if status in statuses:
            return status if status != UNREACHED else "judged in part"
    return Status.NOT_APPLICABLE


def _why(found: PartGrade, judged: Judged) -> str:
    whys = [claim.why for claim in found.claims if claim.why]
    return max(whys, key=whys.count) if whys else ""


def _record(judged: Judged, rubric: Rubric, checks: Checks, seed: int) -> RunRecord:
    """As the reports read it, of the rubric's components."""
    names = rubric.names
    below = {name: tuple(part for part in checks.parts.get(name, ()) if part in names) for name in names}
    return RunRecord(
        impl=judged.name,
        seed=seed,
        planned={name: len(checks.claims[name]) for name in names},
        order=names,
        parts=below,
        meanings={name: checks.meanings.get(name, "") for name in names},
        verdicts=list(judged.verdicts),
        summaries=dict(judged.summaries),
        variants=dict(judged.variants),
        notes=judged.notes,
        effort=rubric.effort,
        hints=Hint.CHANGE,
        finished=not judged.unreached and not judged.why,
        signatures={name: checks.signatures.get(name, "") for name in names},
        missing=tuple(n for n in names if all(v.status == Status.TO_DO for v in judged.verdicts if v.component == n)),
    )


def as_dict(one: Grade) -> dict[str, Any]:
    """A grade in plain values, without anything that differs between two runs of the same."""
    return {
        "name": one.name,
        "total": one.total,
        "points": one.rubric.points,
        "state": one.judged.state,
        "why": one.judged.why,
        "deaths": list(one.judged.deaths),
        "suspicious": list(one.judged.suspicious),
        "findings": list(one.findings),
        "variants": dict(one.judged.variants),
        "components": {
            p.part.name: {
                "score": p.score,
                "points": p.part.points,
                "state": p.state,
                "held": p.held,
                "counted": len(p.counted),
                "why": p.why,
                "claims": {c.name: c.status for c in p.claims},
            }
            for p in one.parts
        },
    }
