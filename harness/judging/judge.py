"""judge(contract, claim) -> Verdict: the only place where exceptions become verdicts.

Cases are generated once per component from the run's seed; every claim is judged over them. Only where a claim fails
does Hypothesis run again, with the same seed and the full shrink phase, for that one claim.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from harness.core.case import Case, is_float
from harness.core.claim import About, Claim, Crashed, NotApplicable, NotSupported, ToDo, Violation
from harness.core.contract import Contract
from harness.core.formatting import describe, weight
from harness.core.implementation import Answer, Implementation, Phase, Request
from harness.core.measurement import Measure, Measurement
from harness.core.record import Status, Verdict
from harness.core.tree import leaves
from harness.judging.cases import GeneratedCases
from harness.judging.evidence import COTANGENT_SEED, EVIDENCE_CASES, Evidence
from harness.judging.shrinking import smallest_violation
from harness.judging.trial import PATIENT_PERTURBATIONS, BenchTrial, RanOutOfTime, is_offered, outcome_of
from harness.numerics.precision import working_precision
from harness.numerics.tolerance import PERTURBATIONS, tolerances


@dataclass
class _Tally:
    """What came of a claim over the cases tried."""

    cases: int = 0
    skipped: int = 0
    worst: float | None = None
    not_offered: str = ""
    broken: list[tuple[Case, Exception]] = field(default_factory=list)
    first: int = 0
    evidence: list[Evidence] = field(default_factory=list)


class Bench:
    """One implementation beside the reference: generated cases, working precision and the trials of every claim.

    ``implementation`` and ``reference`` should cache their answers (harness.execution.caching). ``cases``: how many to
    generate per component (None: the contract's number, scaled by ``effort``). ``edited``: the reference with edits in
    force. ``variants``: legal forms that were declared, by component. ``like``: a bench with the same seed and reference,
    whose work is shared.
    """

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
        # The reference's part of the work depends on the seed alone: benches of several implementations share it.
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
        self._precision: dict[str, torch.dtype] = {}
        self._misses: set[str] = set()
        """Components that are wrong in float64 somewhere."""
        self.notes: dict[str, list[str]] = {}
        self.not_measured: list[str] = []
        """Measurements that failed: what was to be measured, what happened, after how many seconds."""
        self.smallest: dict[str, Case] = {}
        """The smallest violating case of each verdict, by its id."""
        self.progress: Callable[[str], None] = lambda doing: None
        """Called with what is being done, many times a second."""

    def cases_of(self, contract: Contract, claim: Claim | None = None) -> tuple[Case, ...]:
        """The cases a claim is judged over: its own where it brings some, the component's otherwise."""
        return self.generated.of(contract, claim)

    # precision -------------------------------------------------------------------------------------------------------

    def precision(self, contract: Contract) -> torch.dtype:
        """What the implementation computes this component in: float64, or float32 where float64 is refused or not reached.

        Code that computes in float32 inside on purpose misses the rule of meaning and meets the rule of rounding, and
        its error is noise: that is a note, not a failure.
        """
        if contract.name not in self._precision:
            self._precision[contract.name] = torch.float64  # while probing
            dtype = self._probed(contract)
            parts = [name for name in contract.parts if name in self.contracts]
            wrong = dtype == torch.float64 and contract.name in self._misses
            if wrong and any(self._is_in_float32(part) for part in parts):
                # Its parts are right in float32 alone: what is wrong in it can be seen in float32 only.
                dtype = torch.float32
                self.note(contract, "judged in float32, as its parts are")
            self._precision[contract.name] = dtype
        return self._precision[contract.name]

    def _is_in_float32(self, part: str) -> bool:
        """Whether a part is there and computes in float32; not where that ends in no answer, which its own checks report."""
        if self.implementation.offers(part) is None:
            return False
        try:
            return self.precision(self.contracts[part]) == torch.float32
        except (RanOutOfTime, ToDo):
            return False

    def _probed(self, contract: Contract) -> torch.dtype:
        if not any(is_float(leaf) for case in self.cases_of(contract)[:3] for _, leaf in case.tensors()):
            return self._of_the_result(contract)
        trials = [self.trial(contract, case, i) for i, case in enumerate(self.cases_of(contract))]
        trials = [trial for trial in trials if is_offered(trial)]
        tables = contract.tables_in_float32 or any(form.tables_in_float32 for form in self.generated.declared(contract))
        found = working_precision(trials, contract, self._moved_by_roundings, tables)
        if found.misses:
            self._misses.add(contract.name)
        if found.note:
            self.note(contract, found.note)
        return found.dtype

    def _of_the_result(self, contract: Contract) -> torch.dtype:
        """Where no argument has a floating-point dtype: the one in which the contract's results come, which no case can widen."""
        answers = [self.reference.run(Request(contract.name, case)) for case in self.cases_of(contract)[:1]]
        floats = [leaf.dtype for answer in answers for _, leaf in leaves(list(answer.outputs)) if is_float(leaf)]
        return torch.float32 if floats and all(dtype == torch.float32 for dtype in floats) else torch.float64

    def _moved_by_roundings(self, contract: Contract, case: Case) -> list[Answer]:
        """What the reference answers with each constant of the contract, or of its parts, moved by one float32 unit."""
        edits = self._roundings(contract.name) if self.edited is not None else []
        return [self.edited((edit,)).run(Request(contract.name, case)) for edit in edits]  # type: ignore[misc]

    def _roundings(self, component: str) -> list[Any]:
        contract = self.contracts[component]
        below = [edit for part in contract.parts if part in self.contracts for edit in self._roundings(part)]
        return [*contract.roundings, *below]

    def note(self, contract: Contract, text: str) -> None:
        """Something a person should know that is no failure."""
        known = self.notes.setdefault(contract.name, [])
        if text not in known:
            known.append(text)

    # trials ----------------------------------------------------------------------------------------------------------

    def trial(self, contract: Contract, case: Case, index: int = 0) -> BenchTrial:
        """One case, ready for a claim."""
        return BenchTrial(self, contract, case, index)

    def agreement(
        self, component: str, case: Case, dtype: torch.dtype, gradients: bool, patient: bool = False
    ) -> tuple[Answer, Answer]:
        """Exact answer and tolerances, computed once per case. ``patient``: from many more perturbations.

        Gradients of cases that all claims share are needed sooner or later: they are computed at once.
        """
        shared = dtype in (torch.float64, torch.float32) and self.generated.is_shared(case)
        gradients = gradients or (shared and self.contracts[component].differentiable)
        key = (component, case.key, dtype, gradients, patient)
        if key not in self._agreements:
            seed = COTANGENT_SEED if gradients else None

            def run(changed: Case, fresh: bool = False) -> Answer:
                return self.reference.run(Request(component, changed, gradients=seed, fresh=fresh))

            moves = PATIENT_PERTURBATIONS if patient else PERTURBATIONS
            self._agreements[key] = tolerances(run, case, dtype, partial(run, fresh=True), moves)
        return self._agreements[key]

    # verdicts --------------------------------------------------------------------------------------------------------

    def judge(
        self, contract: Contract, claim: Claim, *, shrink: bool = True, only: tuple[Case, ...] = (), enough: int = 0
    ) -> tuple[Verdict, list[Evidence]]:
        """One claim over its cases (or ``only`` these), and what the implementation answered where it fails.

        ``enough``: stop after so many failing cases, where only whether it fails is asked (0: judge every case).
        """
        started = time.perf_counter()
        offer = self.implementation.offers(contract.name)
        about = tuple(sorted(claim.about))
        base = Verdict(
            contract.name, claim.name, claim.sentence, Status.PASSED, about=about, false_alarm=claim.false_alarm
        )
        if offer is None:
            return replace(
                base, status=Status.TO_DO, message=f"{self.implementation.name} has no {contract.name} yet"
            ), []
        base = replace(base, where=offer.where, line=offer.line)
        if offer.to_do:
            return replace(base, status=Status.TO_DO, message=offer.to_do), []
        try:
            tally = self._tally(contract, claim, only or self.cases_of(contract, claim), enough)
        except ToDo as todo:
            return replace(base, status=Status.TO_DO, message=str(todo), seconds=time.perf_counter() - started), []
        except RanOutOfTime as stopped:
            crash = stopped.crash
            verdict = replace(
                base, status=Status.TIMED_OUT, message=crash.message, frames=crash.frames, failed_cases=1, first=1
            )
            return replace(verdict, seconds=time.perf_counter() - started), []
        notes = tuple(self.notes.get(contract.name, ()))
        base = replace(base, cases=tally.cases, error=tally.worst, notes=notes)
        if tally.broken:
            if offer.by_hand and _is_about_gradients(claim, tally):
                base = replace(base, where=offer.by_hand[1], line=offer.by_hand[2])
            verdict = self._broken(base, tally)
        elif tally.cases == 0:
            reason = tally.not_offered or "no case that was drawn says anything about it"
            verdict = replace(base, status=Status.NOT_APPLICABLE, message=reason, error=None)
        else:
            verdict = base
        verdict = replace(verdict, seconds=time.perf_counter() - started)
        return (self.smaller(contract, claim, verdict) if shrink else verdict), tally.evidence

    def _tally(self, contract: Contract, claim: Claim, cases: Sequence[Case], enough: int = 0) -> _Tally:
        tally = _Tally()
        for index, case in enumerate(cases):
            self.progress(f"{contract.name}::{claim.name}: case {index + 1} of {len(cases)}")
            trial = self.trial(contract, case, index)
            outcome = outcome_of(claim, trial)
            if isinstance(outcome, NotApplicable):
                tally.skipped += 1
            elif isinstance(outcome, NotSupported):
                tally.not_offered = str(outcome)
                if not tally.cases and index >= 4:
                    break
            elif isinstance(outcome, Exception):
                tally.cases += 1
                tally.broken.append((case, outcome))
                tally.first = tally.first or index + 1
                if len(tally.broken) <= EVIDENCE_CASES:
                    tally.evidence += trial.log
                if len(tally.broken) == enough:
                    break
            else:
                tally.cases += 1
                if outcome is not None:
                    tally.worst = max(tally.worst or 0.0, outcome)
        return tally

    def measure(self, contract: Contract, measure: Measure) -> Measurement | None:
        """The measurement under its name; None where there is nothing to measure.

        Where the implementation runs out of time, raises or answers wrongly on the way, ``not_measured`` says so.
        """
        offer = self.implementation.offers(contract.name)
        if offer is None or offer.to_do:
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
        """The same verdict with a smaller case, where Hypothesis finds one in time. (Only what is reported needs that.)"""
        started = time.perf_counter()
        kinds = {Status.FAILED: Violation, Status.CRASHED: Crashed}
        case = self.smallest.get(verdict.case_id)
        if verdict.status not in kinds or case is None:
            return verdict
        found = smallest_violation(self, contract, claim, kinds[verdict.status])
        if found is not None and weight(found[0]) <= weight(case):
            verdict = self._shown(verdict, *found)
        return replace(verdict, seconds=verdict.seconds + time.perf_counter() - started)

    def _broken(self, base: Verdict, tally: _Tally) -> Verdict:
        largest = max((p.error for _, p in tally.broken if isinstance(p, Violation)), default=math.inf)
        excess = largest if math.isfinite(largest) else None
        case, problem = min(tally.broken, key=lambda pair: weight(pair[0]))
        error_maps = [problem.error_map for _, problem in tally.broken if isinstance(problem, Violation)]
        largest_error_map = max(error_maps, key=lambda error_map: sum(map(len, error_map)), default=())
        shown = self._shown(base, case, problem)
        return replace(
            shown, excess=excess, failed_cases=len(tally.broken), first=tally.first, error_map=largest_error_map
        )

    def _shown(self, verdict: Verdict, case: Case, problem: Exception) -> Verdict:
        """The verdict with this violating case in it; the case is kept for a replay."""
        self.smallest[case.key[:8]] = case
        message, worst, status = str(problem), "", Status.FAILED
        returned, explains = "", True
        frames: tuple[str, ...] = ()
        if isinstance(problem, Violation):
            message, worst = problem.message, problem.worst
            returned, explains = problem.returned, problem.explains
        elif isinstance(problem, Crashed) and problem.crash is not None:
            status, frames = Status.CRASHED, problem.crash.frames
            message = f"{problem.crash.error}: {problem.crash.message}"
        return replace(
            verdict,
            status=status,
            message=message,
            returned=returned,
            explains=explains,
            worst=worst,
            frames=frames,
            case_id=case.key[:8],
            smallest=describe(case, contract=self.contracts[verdict.component]),
        )


def _is_about_gradients(claim: Claim, tally: _Tally) -> bool:
    """Whether the backward pass is broken: the claim or what came of it says so, or nothing else was asked for."""
    for _, problem in tally.broken:
        crash = problem.crash if isinstance(problem, Crashed) else None
        phase = crash.phase if crash else problem.phase if isinstance(problem, Violation) else Phase.FORWARD
        if not (phase is Phase.BACKWARD or (crash is None and About.GRADIENT in claim.about)):
            return bool(tally.evidence) and all(item.request.gradients is not None for item in tally.evidence)
    return True
