"""judge(contract, claim) -> Verdict: the only place where exceptions become verdicts.

A deck of cases is drawn once per component from the run's seed; every claim is judged over it. Only where a claim is
violated is Hypothesis asked again, with the same seed and the full shrink phase, for that one claim.
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
from harness.core.claim import Claim, Crashed, NotApplicable, NotSupported, ToDo, Violation
from harness.core.contract import Argument, Contract, Variant
from harness.core.formatting import describe, weight
from harness.core.implementation import Answer, Crash, CrashKind, Implementation, Offer, Phase, Request
from harness.core.measurement import Measure, Measurement
from harness.core.record import Status, Verdict
from harness.core.result_form import other_kind
from harness.core.tree import leaves
from harness.numerics.precision import working_precision
from harness.numerics.tolerance import PERTURBATIONS, compare, tolerances
from harness.strategies.sampling import draw, shrunk

COTANGENT_SEED = 20_191_114
SHRINK_SECONDS = 6.0
"""A smaller case is worth this long; the smallest found by then is shown."""
USUAL_CASES = 50
"""Cases of a deck where its contract says nothing else."""
EFFORTS = {"quick": 0.08, "default": 1.0, "thorough": 5.0}
"""How many cases are judged, against what contracts and claims say: a first look, a run, a night."""
FEW, FEWEST = 4, 2
"""However quick: cases of a deck, and of a claim that asks for few."""
NEARLY, PATIENT_PERTURBATIONS = 10.0, 24
"""An error of up to ten times the tolerance is looked at again with a tolerance from many more perturbations: where a
gradient is a difference of large numbers, three of them may happen to move it little."""
EVIDENCE_CASES = 6
"""Violating cases of a claim whose runs are kept for the diagnosis."""


@dataclass(frozen=True)
class Evidence:
    """What the implementation answered to one request, kept for the diagnosis. ``effects``: whether side effects matter."""

    request: Request
    answer: Answer
    effects: bool = False


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
    """One implementation beside the reference: decks, working precision and the trials of every claim.

    ``implementation`` and ``reference`` should remember (harness.execution.caching). ``cases``: how many to draw per component
    (None: what the contract says, in the proportion of ``effort``). ``edited``: the reference with edits in force. ``variants``: legal forms
    that were declared, by component. ``like``: a bench with the same seed and reference, whose work is shared.
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
        self.seed, self.cases, self.effort = seed, cases, effort
        # The reference's part of the work depends on the seed alone: benches of several implementations share it.
        self._drawn: dict[tuple[str, str, int], tuple[Case, ...]] = like._drawn if like else {}
        self._decks: dict[tuple[str, str], tuple[Case, ...]] = {}
        self._agreements: dict[Any, tuple[Answer, Answer]] = like._agreements if like else {}
        self._precision: dict[str, torch.dtype] = {}
        self._misses: set[str] = set()
        """Components that are wrong in float64 somewhere."""
        self._shared: set[str] = set()
        self.bare_refused: set[str] = set()
        """Components whose optional parameters must all be there: GPT-2 has them, and a bias-less form is not owed."""
        self.notes: dict[str, list[str]] = {}
        self.smallest: dict[str, Case] = {}
        """The smallest violating case of each verdict, by its id."""
        self.progress: Callable[[str], None] = lambda doing: None
        """Told what is being done, many times a second."""

    # decks -----------------------------------------------------------------------------------------------------------

    def deck(self, contract: Contract, claim: Claim | None = None) -> tuple[Case, ...]:
        """The cases a claim is judged over: its own where it brings some, the component's otherwise."""
        strategy, own = self._strategy(contract, claim)
        key = (contract.name, claim.name if own and claim else "")
        if key not in self._decks:
            most = self._size(contract)
            if key[1] and claim and claim.max_cases:
                most = min(most, self._most(claim))
            raises = claim is not None and "invalid" in claim.tags and own
            deck = self._offered(contract, self._drawn_for(contract, strategy, key, most), raises)
            if not raises and most < contract.case_count and self._is_refused_bare(contract, deck):
                # So few that none has all its optional parameters: whether bare ones are refused must be seen in more.
                deck = self._offered(contract, self._drawn_for(contract, strategy, key, contract.case_count))[:most]
            self._decks[key] = deck
            if not key[1]:
                self._shared |= {case.key for case in self._decks[key]}
        deck = self._decks[key]
        return deck[: self._most(claim)] if claim and claim.max_cases else deck

    def _drawn_for(
        self, contract: Contract, strategy: Callable[[], Any], key: tuple[str, str], most: int
    ) -> tuple[Case, ...]:
        """So many cases, without what the implementation has not and what a declared form has no place for."""
        if (*key, most) not in self._drawn:
            self._drawn[(*key, most)] = tuple(draw(strategy(), self.seed, most))
        return self._in_the_declared_form(
            contract, tuple(self.restricted(contract, c) for c in self._drawn[(*key, most)])
        )

    def _is_refused_bare(self, contract: Contract, deck: tuple[Case, ...]) -> bool:
        """Whether every case lacks an optional parameter, and every one raises."""
        requests = (Request(contract.name, case) for case in deck)
        return all(_is_bare(contract, r.case) and self.implementation.run(r).crash is not None for r in requests)

    def declared(self, contract: Contract) -> list[Variant]:
        """The legal forms that were declared of a component and of what it is made of."""
        own = [v for v in contract.variants if self.variants.get(contract.name) == v.name]
        parts = [self.contracts[part] for part in contract.parts if part in self.contracts]
        return own + [variant for part in parts for variant in self.declared(part)]

    def _in_the_declared_form(self, contract: Contract, deck: tuple[Case, ...]) -> tuple[Case, ...]:
        """Without the cases that a declared form has no place for (an odd size where features are paired, say); all of
        them where it has a place for none: those must be refused."""
        if not self.declared(contract):
            return deck
        return tuple(case for case in deck if self._has_a_place(contract, case)) or deck

    def _has_a_place(self, contract: Contract, case: Case) -> bool:
        """Whether a case fits the forms that were declared."""
        return not self.declared(contract) or self.reference.run(Request(contract.name, case)).crash is None

    def _offered(self, contract: Contract, deck: tuple[Case, ...], raises: bool = False) -> tuple[Case, ...]:
        """Without the cases that the implementation does not take (an option it has not); all of them where it takes none.

        ``raises``: they are cases that must be refused, so that a crash says nothing about what it takes.
        """
        taken: list[tuple[Case, Crash | None]] = []
        for case in deck:
            crash = self.implementation.run(Request(contract.name, case)).crash
            if crash is not None and crash.kind in (CrashKind.TIMED_OUT, CrashKind.TO_DO):
                return deck
            if crash is None or crash.kind != CrashKind.NOT_SUPPORTED:
                taken.append((case, crash))
        if not raises and not any(crash for case, crash in taken if not _is_bare(contract, case)):
            refused = [crash for case, crash in taken if crash and _is_bare(contract, case)]
            if refused and len(refused) < len(taken):
                self.bare_refused.add(contract.name)
                self.note(
                    contract, f"it does not take None for an optional parameter ({refused[0].error}); judged without"
                )
        if contract.name in self.bare_refused:
            taken = [(case, crash) for case, crash in taken if not (crash and _is_bare(contract, case))]
        return tuple(case for case, _ in taken) or deck

    def _size(self, contract: Contract) -> int:
        """As many as asked for; of components that are dear, and have smaller decks, more in proportion only."""
        usual = contract.case_count
        if not self.cases:
            return max(round(usual * EFFORTS[self.effort]), min(usual, FEW))
        return self.cases if self.cases <= usual else max(usual, usual * self.cases // USUAL_CASES)

    def _most(self, claim: Claim) -> int:
        """How many cases a claim is judged on at most; of a random claim never more, since each has odds of its own."""
        most = claim.max_cases or 0
        share = min(EFFORTS[self.effort], 1.0) if claim.false_alarm else EFFORTS[self.effort]
        return max(round(most * share), min(most, FEWEST))

    def _strategy(self, contract: Contract, claim: Claim | None) -> tuple[Callable[[], Any], bool]:
        if claim is not None and "invalid" in claim.tags and claim.cases is None:
            return contract.invalid, True  # type: ignore[return-value]
        if claim is not None and claim.cases is not None:
            return claim.cases, True
        return contract.cases, False

    def restricted(self, contract: Contract, case: Case) -> Case:
        """The case without the optional parameters that the implementation does not have (a bias-less model, say)."""
        offer = self.implementation.offers(contract.name)
        return case.without(offer.absent) if offer is not None and offer.absent else case

    # precision -------------------------------------------------------------------------------------------------------

    def precision(self, contract: Contract) -> torch.dtype:
        """What the implementation computes this component in: float64, or float32 where float64 is refused or not reached.

        Code that computes in float32 inside on purpose misses the rule of meaning and meets the rule of rounding, and
        its error is noise: that is a note, not a failure.
        """
        if contract.name not in self._precision:
            self._precision[contract.name] = torch.float64  # while probing
            dtype = self._probed(contract)
            if dtype == torch.float64 and contract.name in self._misses:
                # Wrong, and made of parts that are right in float32 alone: what is wrong can be told in float32 only.
                parts = [self.contracts[name] for name in contract.parts if name in self.contracts]
                if any(
                    self.precision(p) == torch.float32 for p in parts if self.implementation.offers(p.name) is not None
                ):
                    dtype = torch.float32
                    self.note(contract, "judged in float32, as its parts are")
            self._precision[contract.name] = dtype
        return self._precision[contract.name]

    def _probed(self, contract: Contract) -> torch.dtype:
        if not any(is_float(leaf) for case in self.deck(contract)[:3] for _, leaf in case.tensors()):
            return self._of_the_result(contract)
        trials = [self.trial(contract, case, i) for i, case in enumerate(self.deck(contract))]
        trials = [trial for trial in trials if _is_offered(trial)]
        tables = contract.tables_in_float32 or any(form.tables_in_float32 for form in self.declared(contract))
        found = working_precision(trials, contract, self._moved_by_roundings, tables)
        if found.misses:
            self._misses.add(contract.name)
        if found.note:
            self.note(contract, found.note)
        return found.dtype

    def _of_the_result(self, contract: Contract) -> torch.dtype:
        """Where no argument has a floating-point dtype: the one in which the contract's results come, which no case can widen."""
        answers = [self.reference.run(Request(contract.name, case)) for case in self.deck(contract)[:1]]
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

        Cases of the deck are asked for their gradients sooner or later; theirs come along at once.
        """
        shared = dtype in (torch.float64, torch.float32) and case.key in self._shared
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
        self, contract: Contract, claim: Claim, *, shrink: bool = True, only: tuple[Case, ...] = ()
    ) -> tuple[Verdict, list[Evidence]]:
        """One claim over its deck (or ``only`` these cases). The evidence: what the implementation answered where it fails."""
        started = time.perf_counter()
        offer = self.implementation.offers(contract.name)
        base = Verdict(contract.name, claim.name, claim.sentence, Status.PASSED, false_alarm=claim.false_alarm)
        if offer is None:
            return replace(
                base, status=Status.TO_DO, message=f"{self.implementation.name} has no {contract.name} yet"
            ), []
        base = replace(base, where=offer.where, line=offer.line)
        if offer.to_do:
            return replace(base, status=Status.TO_DO, message=offer.to_do), []
        try:
            tally = self._tally(contract, claim, only or self.deck(contract, claim))
        except ToDo as todo:
            return replace(base, status=Status.TO_DO, message=str(todo), seconds=time.perf_counter() - started), []
        except _Stopped as stopped:
            crash = stopped.crash
            verdict = replace(
                base, status=Status.TIMED_OUT, message=crash.message, frames=crash.frames, failed_cases=1, first=1
            )
            return replace(verdict, seconds=time.perf_counter() - started), []
        notes = tuple(self.notes.get(contract.name, ()))
        base = replace(base, cases=tally.cases, error=tally.worst, notes=notes)
        if tally.broken:
            if offer.by_hand and _is_about_gradients(tally):
                base = replace(base, where=offer.by_hand[1], line=offer.by_hand[2])
            verdict = self._broken(base, tally)
        elif tally.cases == 0:
            reason = tally.not_offered or "no case that was drawn says anything about it"
            verdict = replace(base, status=Status.NOT_APPLICABLE, message=reason, error=None)
        else:
            verdict = base
        verdict = replace(verdict, seconds=time.perf_counter() - started)
        return (self.smaller(contract, claim, verdict) if shrink else verdict), tally.evidence

    def _tally(self, contract: Contract, claim: Claim, deck: Sequence[Case]) -> _Tally:
        tally = _Tally()
        for index, case in enumerate(deck):
            self.progress(f"{contract.name}::{claim.name}: case {index + 1} of {len(deck)}")
            trial = self.trial(contract, case, index)
            outcome = _tested(claim, trial)
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
            else:
                tally.cases += 1
                if outcome is not None:
                    tally.worst = max(tally.worst or 0.0, outcome)
        return tally

    def measure(self, contract: Contract, measure: Measure) -> Measurement | None:
        """The fact, named; None where the implementation offers nothing to measure, or fails on the way (which claims tell)."""
        offer = self.implementation.offers(contract.name)
        if offer is None or offer.to_do:
            return None
        key = (contract.name, measure.name, 1)
        if measure.cases is not None and key not in self._drawn:
            self._drawn[key] = tuple(draw(measure.cases(), self.seed, 1))
        case = self.restricted(contract, self._drawn[key][0]) if measure.cases is not None else self.deck(contract)[0]
        try:
            fact = measure.take(self.trial(contract, case))
        except (NotApplicable, NotSupported, Crashed, ToDo, Violation, _Stopped):
            return None
        return None if fact is None else replace(fact, component=contract.name, name=measure.name)

    def smaller(self, contract: Contract, claim: Claim, verdict: Verdict) -> Verdict:
        """The same verdict with a smaller case, where Hypothesis finds one in time. (Only what is told needs that.)"""
        started = time.perf_counter()
        kinds = {Status.FAILED: Violation, Status.CRASHED: Crashed}
        case = self.smallest.get(verdict.case_id)
        if verdict.status not in kinds or case is None:
            return verdict
        found = self._smallest(contract, claim, kinds[verdict.status])
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
        frames: tuple[str, ...] = ()
        if isinstance(problem, Violation):
            message, worst = problem.message, problem.worst
        elif isinstance(problem, Crashed) and problem.crash is not None:
            status, frames = Status.CRASHED, problem.crash.frames
            message = f"{problem.crash.error}: {problem.crash.message}"
        return replace(
            verdict,
            status=status,
            message=message,
            worst=worst,
            frames=frames,
            case_id=case.key[:8],
            smallest=describe(case, contract=self.contracts[verdict.component]),
        )

    def _smallest(self, contract: Contract, claim: Claim, like: type[Exception]) -> tuple[Case, Exception] | None:
        strategy, _ = self._strategy(contract, claim)
        found: list[tuple[Case, Exception]] = []

        def violates(case: Case) -> bool:
            if contract.name in self.bare_refused and _is_bare(contract, case):
                return False
            if "invalid" not in claim.tags and not self._has_a_place(contract, case):
                return False
            self.progress(f"{contract.name}::{claim.name}: looking for a smaller case")
            trial = self.trial(contract, self.restricted(contract, case))
            outcome = _tested(claim, trial)
            wrong = isinstance(outcome, like)
            if wrong:
                found.append((trial.case, outcome))
            return wrong

        shrunk(strategy(), self.seed, self._size(contract), violates, SHRINK_SECONDS)
        return min(found, key=lambda pair: weight(pair[0])) if found else None


class BenchTrial:
    """The Trial of harness.core.claim: one case at the two executors."""

    def __init__(self, bench: Bench, contract: Contract, case: Case, index: int) -> None:
        self.bench, self.contract, self.case, self.index = bench, contract, case, index
        self.offer = bench.implementation.offers(contract.name) or Offer(contract.name)
        self.dtype = bench.precision(contract)
        self.seed = bench.seed * 1_000_003 + index
        self.patient = False
        self.error: float | None = None
        self.log: list[Evidence] = []

    @property
    def variant(self) -> str | None:
        return self.bench.variants.get(self.contract.name)

    @property
    def companions(self) -> tuple[Case, ...]:
        deck = self.bench.deck(self.contract)
        return tuple(deck[(self.index + step) % len(deck)] for step in (1, len(deck) // 2))

    def _request(self, case: Case | None, options: dict[str, Any]) -> Request:
        dtype = options.pop("dtype", None) or self.dtype
        gradients = COTANGENT_SEED if options.pop("gradients", False) else None
        return Request(self.contract.name, (case or self.case).cast(dtype), gradients=gradients, **options)

    def attempt(self, case: Case | None = None, **options: Any) -> Answer:
        request = self._request(case, options)
        answer = self.bench.implementation.run(request)
        self.log.append(Evidence(request, answer))
        if answer.crash is not None:
            if answer.crash.kind == CrashKind.TO_DO:
                raise ToDo(answer.crash.message)
            if answer.crash.kind == CrashKind.NOT_SUPPORTED:
                raise NotSupported(answer.crash.message)
            if answer.crash.kind == CrashKind.TIMED_OUT:
                raise _Stopped(answer.crash)
        return answer

    def run(self, case: Case | None = None, **options: Any) -> Answer:
        answer = self.attempt(case, **options)
        if answer.crash is not None:
            raise Crashed(answer)
        odd = other_kind(self.contract, (case or self.case).calls, answer.outputs)
        if odd:
            raise Violation(odd)
        return answer

    def expect(self, case: Case | None = None, **options: Any) -> Answer:
        return self.bench.reference.run(self._request(case, options))

    def agreement(
        self, case: Case | None = None, *, dtype: torch.dtype | None = None, gradients: bool = False
    ) -> tuple[Answer, Answer]:
        return self.bench.agreement(self.contract.name, case or self.case, dtype or self.dtype, gradients, self.patient)

    def spread(self, case: Case | None = None) -> Any:
        return tuple(_doubled(bound) for bound in self.agreement(case)[1].outputs)

    def spread_of_value(self, case: Case | None = None) -> Any:
        return self.spread(case)[-1]

    def note_error(self, error: float) -> None:
        self.error = error if self.error is None else max(self.error, error)

    def close(self, actual: Any, expected: Any, tolerance: Any, what: str) -> None:
        if isinstance(expected, tuple) and isinstance(actual, tuple) and len(actual) == len(expected) == 1:
            (actual,), (expected,), (tolerance,) = actual, expected, tolerance
        calls = self.case.calls
        if isinstance(expected, tuple) and isinstance(actual, tuple) and len(expected) == len(actual) == len(calls) > 1:
            name = f"{what} of " if what != "out" else ""  # a script: say which of its calls
            bounds = tolerance if isinstance(tolerance, (list, tuple)) else [tolerance] * len(calls)
            each = zip(calls, actual, expected, bounds, strict=True)
            parts = [compare(a, e, bound, f"{name}{call.method}()") for call, a, e, bound in each]
            found = max(parts, key=lambda part: part.ratio)
        else:
            found = compare(actual, expected, tolerance, what)
        if found.fine:
            self.note_error(found.ratio)
            return
        raise Violation(
            f"{what} is not what it must be", worst=found.where, error=found.ratio, error_map=found.error_map
        )

    def cotangent(self, value: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(COTANGENT_SEED)
        return torch.randn(value.shape, generator=generator, dtype=torch.float32).double()

    def random(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed % 2**31)

    def not_applicable(self) -> None:
        raise NotApplicable


class _Stopped(Exception):
    """Their code ran out of time: no further case of this claim is tried."""

    def __init__(self, crash: Crash) -> None:
        super().__init__(crash.message)
        self.crash = crash


def _is_offered(trial: BenchTrial) -> bool:
    """Whether the implementation runs this case at all (an option it does not take is no failure)."""
    try:
        trial.attempt()
    except NotSupported:
        return False
    return True


def _tested(claim: Claim, trial: BenchTrial) -> Any:
    """The claim's number, or the exception it ended with (those that end the whole claim are raised)."""
    try:
        claim.test(trial)
        return trial.error
    except Violation as violation:
        answers = [(item.request.case.calls, item.answer) for item in trial.log if item.answer.crash is None]
        odd = next((o for calls, a in answers if (o := other_kind(trial.contract, calls, a.outputs))), "")
        if odd:  # whatever the claim says of it
            return Violation(odd)
        if 1.0 < violation.error <= NEARLY and not trial.patient:
            trial.patient, trial.log, trial.error = True, [], None
            return _tested(claim, trial)
        matter = any(effect in violation.message for item in trial.log for effect in item.answer.effects)
        trial.log = [replace(item, effects=matter) for item in trial.log]
        return violation
    except (NotApplicable, NotSupported, Crashed) as outcome:
        return outcome


def _is_about_gradients(tally: _Tally) -> bool:
    """Whether what is broken is the way back: in words, in what crashed, or because nothing else was asked for."""
    for _, problem in tally.broken:
        crash = problem.crash if isinstance(problem, Crashed) else None
        if not (crash.phase == Phase.BACKWARD if crash else "gradient" in str(problem) or "backward" in str(problem)):
            return bool(tally.evidence) and all(item.request.gradients is not None for item in tally.evidence)
    return True


def _is_bare(contract: Contract, case: Case) -> bool:
    """Whether an optional parameter is None in a case."""
    optional = {name for argument in contract.arguments("parameter") for name in _optional_names(argument)}
    found = (path for call in case.calls for path, leaf in leaves(dict(call.arguments)) if leaf is None and path)
    return any(path[-1] in optional for path in found)


def _optional_names(argument: Argument) -> list[str]:
    below = [name for inner in argument.fields for name in _optional_names(inner)]
    return [argument.name, *below] if argument.optional else below


def _doubled(bound: Any) -> Any:
    if isinstance(bound, (list, tuple)):
        return type(bound)(_doubled(b) for b in bound)
    if isinstance(bound, dict):
        return {k: _doubled(b) for k, b in bound.items()}
    return None if bound is None else 2 * bound
