"""judge(contract, claim) -> Verdict: the only place where exceptions become verdicts.

Cases are generated once per component from the run's seed; every claim is judged over them. Only where a claim fails
does Hypothesis run again, with the same seed and the shrink phase.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import Claim, Crashed, Misfit, NotApplicable, NotSupported, ToDo, Violation
from harness.core.contract import Contract
from harness.core.formatting import describe, weight
from harness.core.implementation import Answer, Implementation, Offer, Request
from harness.core.measurement import Measure, Measurement
from harness.core.note import Note, NoteCode
from harness.core.record import Cause, Status, Verdict
from harness.diagnosis.finding import form_name
from harness.judging.cases import GeneratedCases
from harness.judging.evidence import COTANGENT_SEED, EVIDENCE_CASES, Evidence
from harness.judging.kept_tolerances import KeptTolerances
from harness.judging.outcomes import cause_of, is_about_gradients, not_checked, takes_none, told_as_advice, why_barely
from harness.judging.shrinking import smallest_violation
from harness.judging.tally import Tally
from harness.judging.trial import PATIENT_PERTURBATIONS, BenchTrial, RanOutOfTime, Unmeasured, largest_error, outcome_of
from harness.judging.working_precision import WorkingPrecision
from harness.numerics.tolerance import PERTURBATIONS, tolerances


class Bench:
    """One implementation beside the reference: generated cases, working precision and the trials of every claim.

    ``implementation`` and ``reference`` should cache their answers (harness.execution.caching). ``cases``: how many to
    generate per component (None: the contract's number, scaled by ``effort``). ``edited``: the reference with edits in
    force. ``variants``: legal forms that were declared, by component. ``like``: a bench with the same seed and
    reference, whose work is shared.
    """

    kept: KeptTolerances | None = None
    """Tolerances of earlier runs, where they may be used."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        implementation: Implementation,
        reference: Implementation,
        *,
        seed: int = 0,
        cases: int | None = None,
        effort: str = "default",
        like: Bench | None = None,
        edited: Callable[[tuple[Any, ...]], Implementation] | None = None,
        variants: Mapping[str, str] | None = None,
    ) -> None:
        self.variants = dict(variants or {})
        self.contracts, self.implementation, self.reference, self.edited = contracts, implementation, reference, edited
        self.seed = seed
        # The reference's part depends on the seed alone: benches of several implementations share it.
        self.generated: GeneratedCases = GeneratedCases(
            contracts,
            implementation,
            reference,
            seed=seed,
            count=cases,
            effort=effort,
            variants=self.variants,
            note=self.note,
            like=like.generated if like else None,
        )
        self._agreements: dict[Any, tuple[Answer, Answer]] = like._agreements if like else {}
        self._precision = WorkingPrecision(self)
        self.notes: dict[str, list[Note]] = {}
        self.not_measured: list[str] = []
        """Measurements that failed: what was to be measured, what happened, after how many seconds."""
        self.smallest: dict[str, Case] = {}
        """The smallest violating case of each verdict, by its id."""
        self.structures: dict[str, Any] = {}
        """Of components that cannot be compared: what came of their structural claims."""
        self.progress: Callable[[str], None] = lambda doing: None
        """Called with what is being done, many times a second."""

    def follow(self, other: Bench) -> None:
        """Take the cases and the working precision that were found with another instance: nothing is probed."""
        self.generated, self._precision = other.generated, other._precision

    def cases_of(self, contract: Contract, claim: Claim | None = None) -> tuple[Case, ...]:
        """The cases a claim is judged over: its own where it brings some, the component's otherwise."""
        return self.generated.of(contract, claim)

    def precision(self, contract: Contract) -> torch.dtype:
        """What the implementation computes it in: float64, or float32 where float64 is refused or not reached."""
        return self._precision.of(contract)

    def note(self, contract: Contract, code: NoteCode, text: str) -> None:
        """Something a person should know that is no failure."""
        known = self.notes.setdefault(contract.name, [])
        note = Note(contract.name, code, text)
        if note not in known:
            known.append(note)

    # trials ----------------------------------------------------------------------------------------------------------

    def trial(self, contract: Contract, case: Case, index: int = 0, claim: Claim | None = None) -> BenchTrial:
        """One case, ready for a claim."""
        return BenchTrial(self, contract, case, index, bool(claim and claim.false_alarm))

    def agreement(
        self, component: str, case: Case, dtype: torch.dtype, gradients: bool, patient: bool = False
    ) -> tuple[Answer, Answer]:
        """Exact answer and tolerances, computed once per case. ``patient``: from many more perturbations.

        Gradients of cases that all claims share are needed sooner or later: they are computed at once.
        """
        shared = dtype in (torch.float64, torch.float32) and self.generated.is_shared(case)
        gradients = gradients or (shared and self.contracts[component].differentiable)
        key = (component, self.contracts[component].reference, case.key, dtype, gradients, patient)
        if key not in self._agreements:
            seed = COTANGENT_SEED if gradients else None

            def run(changed: Case, fresh: bool = False) -> Answer:
                return self.reference.run(Request(component, changed, gradients=seed, fresh=fresh))

            moves = PATIENT_PERTURBATIONS if patient else PERTURBATIONS
            found = tolerances(run, case, dtype, partial(run, fresh=True), moves)
            if self.kept:
                whole = (component, case.key, dtype, gradients, moves, sorted(self.variants.items()))
                chosen = case.chosen is not None
                found = self.kept.beside(self.contracts[component].reference, whole, found, chosen)
            self._agreements[key] = found
        return self._agreements[key]

    # verdicts --------------------------------------------------------------------------------------------------------

    def judge(
        self, contract: Contract, claim: Claim, *, shrink: bool = True, only: tuple[Case, ...] = (), enough: int = 0
    ) -> tuple[Verdict, list[Evidence]]:
        """One claim over its cases (or ``only`` these), and what the implementation answered where it fails.

        ``enough``: stop after so many failing cases, where only whether it fails is asked (0: judge every case).
        """
        started = time.perf_counter()
        verdict, evidence = self._judged(contract, claim, only, enough)
        verdict = replace(verdict, seconds=time.perf_counter() - started)
        return (self.smaller(contract, claim, verdict) if shrink else verdict), evidence

    def _judged(
        self, contract: Contract, claim: Claim, only: tuple[Case, ...], enough: int
    ) -> tuple[Verdict, list[Evidence]]:
        """The verdict before a smaller case is looked for, and what the implementation answered where it fails."""
        offer = self.implementation.offers(contract.name)
        base = Verdict(contract.name, claim.name, claim.sentence, Status.PASSED, tuple(sorted(claim.about)))
        base = replace(base, false_alarm=claim.false_alarm)
        if offer is None:
            missing = f"{self.implementation.name} has no {contract.name} yet"
            return replace(base, status=Status.TO_DO, message=missing), []
        base = replace(base, where=offer.where, line=offer.line)
        if offer.to_do:
            return replace(base, status=Status.TO_DO, message=offer.to_do), []
        if offer.misfit:
            return not_checked(base, offer.misfit), []
        try:
            tally = self._tally(contract, claim, only or self.cases_of(contract, claim), enough)
        except ToDo as todo:
            return replace(base, status=Status.TO_DO, message=str(todo)), []
        except RanOutOfTime as stopped:
            timed_out = replace(base, status=Status.TIMED_OUT, cause=Cause.OWN_CRASH, failed_cases=1, first=1)
            return replace(timed_out, message=stopped.crash.message, frames=stopped.crash.frames), []
        return self._counted(base, claim, offer, tally), tally.evidence

    def _counted(self, base: Verdict, claim: Claim, offer: Offer, tally: Tally) -> Verdict:
        """The verdict that the cases tried give."""
        base = replace(base, cases=tally.cases, error=tally.worst, notes=tuple(self.notes.get(base.component, ())))
        if tally.broken:
            if offer.by_hand and is_about_gradients(claim, tally.broken, tally.evidence):
                base = replace(base, where=offer.by_hand[1], line=offer.by_hand[2])
            return replace(self._broken(base, tally), half_precision=tally.half_precision)
        if tally.advised:  # what nobody is held to
            return told_as_advice(self._shown(base, *tally.advised[0]), tally.advised)
        given = self.generated.given.get(base.component)
        needs = tally.misfit or tally.not_offered
        if tally.cases == 0 and needs and (takes_none(offer, given) or (given is None and tally.misfit)):
            return not_checked(base, needs)
        if tally.cases == 0:
            reason = tally.not_offered or "no generated case says anything about it"
            return replace(base, status=Status.NOT_APPLICABLE, message=reason, error=None)
        lacking = why_barely(self.contracts[base.component], claim, tally.judged, given)
        return replace(base, status=Status.BARELY_CHECKED, message=lacking) if lacking else base

    def _tally(self, contract: Contract, claim: Claim, cases: Sequence[Case], enough: int = 0) -> Tally:
        tally, unmeasured = Tally(), list[Unmeasured]()
        for index, case in enumerate(cases):
            self.progress(f"{contract.name}::{claim.name}: case {index + 1} of {len(cases)}")
            trial = self.trial(contract, case, index, claim)
            outcome = outcome_of(claim, trial)
            if isinstance(outcome, NotApplicable):
                tally.skipped += 1
            elif isinstance(outcome, NotSupported):
                tally.not_offered = str(outcome)
                tally.misfit = tally.misfit or (str(outcome) if isinstance(outcome, Misfit) else "")
                if not tally.cases and index >= 4:
                    break
            elif isinstance(outcome, Violation) and outcome.advice:
                tally.cases += 1
                tally.advised.append((case, outcome))
            elif isinstance(outcome, Exception):
                tally.cases += 1
                tally.broken.append((case, outcome))
                tally.half_precision &= trial.is_in_half_precision
                tally.first = tally.first or index + 1
                if len(tally.broken) <= EVIDENCE_CASES:
                    tally.evidence += trial.log
                if len(tally.broken) == enough:
                    tally.stopped_early = index + 1 < len(cases)
                    break
            else:
                tally.cases += 1
                tally.judged.append(case)
                if outcome is not None:
                    tally.worst = max(tally.worst or 0.0, outcome)
                    unmeasured += trial.unmeasured
        tally.worst = None if tally.worst is None else largest_error(tally.worst, unmeasured)
        return tally

    def measure(self, contract: Contract, measure: Measure) -> Measurement | None:
        """The measurement under its name; None where there is nothing to measure.

        Where the implementation runs out of time, raises or answers wrongly on the way, ``not_measured`` says so.
        """
        offer = self.implementation.offers(contract.name)
        if offer is None or offer.to_do or offer.misfit:
            return None
        started = time.perf_counter()
        case = self.generated.of_measure(contract, measure)
        try:
            found = measure.take(self.trial(contract, case))
        except (NotApplicable, NotSupported, ToDo):
            return None
        except (RanOutOfTime, Crashed, Violation) as problem:
            seconds = time.perf_counter() - started
            self.not_measured.append(f"{measure.name} of {contract.name} was not measured: {problem} ({seconds:.1f} s)")
            return None
        return None if found is None else replace(found, component=contract.name, name=measure.name)

    def smaller(self, contract: Contract, claim: Claim, verdict: Verdict) -> Verdict:
        """The same verdict with a smaller case, where Hypothesis finds one in time: only what is reported needs it."""
        started, kinds = time.perf_counter(), {Status.FAILED: Violation, Status.CRASHED: Crashed}
        case = self.smallest.get(verdict.case_id)
        if verdict.status not in kinds or case is None:
            return verdict
        found = smallest_violation(self, contract, claim, kinds[verdict.status])
        if found is not None and weight(found[0]) <= weight(case):
            verdict = self._shown(verdict, *found)
        return replace(verdict, seconds=verdict.seconds + time.perf_counter() - started)

    def _broken(self, base: Verdict, tally: Tally) -> Verdict:
        largest = max((p.error for _, p in tally.broken if isinstance(p, Violation)), default=math.inf)
        excess = largest if math.isfinite(largest) else None
        case, problem = min(tally.broken, key=lambda pair: weight(pair[0]))
        error_maps = [problem.error_map for _, problem in tally.broken if isinstance(problem, Violation)]
        largest_error_map = max(error_maps, key=lambda error_map: sum(map(len, error_map)), default=())
        shown = self._shown(base, case, problem)
        return replace(
            shown,
            excess=excess,
            failed_cases=len(tally.broken),
            first=tally.first,
            error_map=largest_error_map,
            stopped_early=tally.stopped_early,
        )

    def _shown(self, verdict: Verdict, case: Case, problem: Exception) -> Verdict:
        """The verdict with this violating case in it; the case is kept for a replay."""
        self.smallest[case.key[:8]] = case
        told = problem if isinstance(problem, Violation) else Violation(str(problem))
        message, status, frames = told.message, Status.FAILED, tuple[str, ...]()
        if isinstance(problem, Crashed) and problem.crash is not None:
            status, frames = Status.CRASHED, problem.crash.frames
            message = f"{problem.crash.error}: {problem.crash.message}"
        return replace(
            verdict,
            status=status,
            cause=cause_of(verdict.about, status, told.returned),
            message=message,
            returned=told.returned,
            explains=told.explains,
            finding=verdict.finding or ((form_name(verdict.component, told.form),) if told.form else ()),
            worst=told.worst,
            frames=frames,
            case_id=case.key[:8],
            smallest=describe(case, contract=self.contracts[verdict.component]),
        )
