"""One implementation beside the reference, with the whole catalogue: the plug-in and the command line stand on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from harness.core.claim import Claim, ToDo
from harness.core.implementation import Implementation
from harness.core.measurement import Measurement
from harness.core.mistake import Edit, KnownMistake
from harness.core.note import Note
from harness.core.record import Status, Verdict
from harness.core.workload import Workload
from harness.diagnosis.finding import Finding, variants_as_mistakes
from harness.diagnosis.matching import Observation, is_wrong
from harness.diagnosis.search import Diagnostician
from harness.execution.caching import CachingImplementation
from harness.execution.discovered import Discovered
from harness.execution.executor import Executor
from harness.execution.half_precision import mentions_half_precision
from harness.judging.catalogue import Catalogue
from harness.judging.changes import Changes
from harness.judging.declared_forms import InDeclaredForms
from harness.judging.diagnosticians import diagnosticians
from harness.judging.earlier_calls import EarlierCalls
from harness.judging.evidence import EVIDENCE_CASES, Evidence
from harness.judging.in_float32 import found_in_float32
from harness.judging.judge import Bench
from harness.judging.last_result import last_result_alone
from harness.judging.lines import Lines
from harness.judging.observations import Observations, is_offered
from harness.judging.outcomes import as_advice
from harness.judging.reference import own_references, reference_executor, with_own
from harness.judging.trial import RanOutOfTime
from harness.judging.true_names import TrueNames
from harness.judging.wrong_in_words import told_in_words
from harness.project.forms import edits_of_forms
from harness.project.variants import Declared


@dataclass
class Inspection:
    """Judges an implementation claim by claim and explains what it finds.

    ``variants``: declared legal forms by component. ``like``: an inspection of another implementation with the same
    seed and variants, whose generated cases, reference answers and tolerances are shared.
    """

    catalogue: Catalogue
    implementation: Implementation
    seed: int = 0
    cases: int | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    notes: Sequence[Note] = ()
    like: Inspection | None = None
    eps: float | None = None
    effort: str = "default"
    expected: Mapping[str, str] = field(default_factory=dict)
    """Failures that the implementation's own module expects, with reasons."""
    half_precision: bool = True
    """Whether it is held to its 16-bit numbers; if not, only what mentions 16-bit dtypes in its code is."""
    anew: Callable[[], Discovered] | None = None
    """Makes the implementation again, its files imported anew, for what depends on earlier calls."""
    bench: Bench = field(init=False)
    findings: dict[str, Finding | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contracts = self.catalogue.contracts
        self.edits = edits_of_forms(self.variants, contracts)

        def executor(edits: tuple[Edit, ...], trusted: bool = False) -> Executor:
            return reference_executor(contracts, (*self.edits, *edits), time_limit=10.0, trusted=trusted)

        self.bench = Bench(
            contracts,
            CachingImplementation(InDeclaredForms(self.implementation, contracts, self.variants)),
            self._reference(),
            seed=self.seed,
            cases=self.cases,
            effort=self.effort,
            like=self.like.bench if self.like else None,
            edited=partial(executor, trusted=True),
            variants=self.variants,
        )
        self.observations = Observations(self.bench)
        self.diagnostician, self.by_result = diagnosticians(
            self.catalogue, self.variants, self.edits, self.implementation, executor
        )
        if self.like and not own_references(contracts, self.like.catalogue.contracts):
            self.diagnostician.kept, self.by_result.kept = self.like.diagnostician.kept, self.like.by_result.kept
        self.lines, self.changes = Lines(self), Changes(self)
        self._found: dict[str, list[Finding]] = {}
        """What explained the claims of a component that failed; it is tried first for the others."""
        self._reported: dict[tuple[str, Any], str] = {}
        """Of what was said of a component: the claim that it was said of first."""
        self.names, self.earlier = TrueNames(self), EarlierCalls(self, self.anew)
        self._unexplained: set[tuple[str, str] | None] = set()
        """Crashes that nothing known explains: not looked for again in every claim that they spoil."""

    def _reference(self) -> Implementation:
        """The reference in the declared form, shared with ``like``. Raises ValueError where that has other cases."""
        if self.like is None:
            contracts = self.catalogue.contracts
            return CachingImplementation(reference_executor(contracts, self.edits, time_limit=0.0, trusted=True))
        if self._generated_from != self.like._generated_from:
            raise ValueError(
                "inspections that share the reference's work need the same seed, cases, effort and variants"
            )
        return with_own(self.like.bench.reference, self.like.catalogue.contracts, self.catalogue.contracts, self.edits)

    @property
    def _generated_from(self) -> tuple[Any, ...]:
        return self.seed, self.cases, self.effort, dict(self.variants)

    @property
    def declared(self) -> Declared:
        """What was declared of the implementation, wherever."""
        return Declared(dict(self.variants), self.eps)

    @property
    def begun(self) -> tuple[str, ...]:
        """The components that are there, as far as can be seen without calling anything; the rest is to do."""
        there = self.implementation
        known = there if isinstance(there, Discovered) else None
        return tuple(n for n in there.components if known is None or not (known.to_do(n) or known.plug_in(n).needs))

    def judge(self, component: str, claim: Claim) -> Verdict:
        """One claim, with its finding where a known mistake explains the violation.

        Where a finding explains the component already, a claim that fails in as many cases as a diagnosis looks at,
        and for the same reason, is not judged on more: it is counted beneath the claim that failed first.
        """
        contract = self.catalogue.contracts[component]
        most = EVIDENCE_CASES if self._found.get(component) else 0
        verdict, evidence = self._judged(component, claim, most)
        if not verdict.failing:
            return verdict
        verdict = self._explained(claim, verdict, evidence)
        verdict = replace(verdict, lines=self.lines.of(claim, verdict, evidence))
        report = (component, verdict.finding or verdict.message)
        if report in self._reported:  # it will be counted beneath the first one that says the same
            short = replace(verdict, explained_by=self._reported[report]) if verdict.stopped_early else verdict
            return self.earlier.applied(short)
        if verdict.stopped_early:
            in_full = self._judged(component, claim)[0]
            named = replace(in_full, finding=verdict.finding, or_else=verdict.or_else)
            verdict = replace(named, covers=verdict.covers, lines=verdict.lines)
            report = (component, verdict.finding or verdict.message)
        self._reported[report] = claim.name
        verdict = self._named_truly(claim, self.bench.smaller(contract, claim, verdict), evidence)
        return told_in_words(self, claim, verdict)

    def _judged(self, component: str, claim: Claim, most: int = 0) -> tuple[Verdict, list[Evidence]]:
        """The verdict, and what the implementation answered. ``most``: failing cases after which no more are judged,
        if each of them is a wrong result (0: judge every case)."""
        contract = self.catalogue.contracts[component]
        verdict, evidence = self.bench.judge(contract, claim, shrink=False, enough=most)
        held = self.held(claim, verdict)
        if most and verdict.failing and (verdict.status != Status.FAILED or not held.failing):
            return self._judged(component, claim)
        return held, evidence

    def _explained(self, claim: Claim, verdict: Verdict, evidence: Sequence[Evidence]) -> Verdict:
        """The verdict with its finding; where there is none, with the form that the check itself may have named."""
        component = verdict.component
        crash = (component, verdict.message) if verdict.status == Status.CRASHED else None
        self.bench.progress(f"{component}::{claim.name}: which known mistake gives these numbers")
        known_to_be_unknown = verdict.status == Status.TIMED_OUT or crash in self._unexplained
        finding = None if known_to_be_unknown else self.explain(component, evidence)
        if finding is None and crash is not None:
            self._unexplained.add(crash)
        self.names.note(component, claim.name, finding, evidence)
        if finding is None:
            return verdict
        if finding not in self._found.setdefault(component, []):
            self._found[component].append(finding)
        covers = self.names.covered_by(component, claim.name, finding)
        others = tuple(b.full_name for b in finding.or_else)
        return replace(verdict, finding=finding.names, or_else=others, covers=covers)

    def _named_truly(self, claim: Claim, verdict: Verdict, evidence: Sequence[Evidence]) -> Verdict:
        """The verdict without a name that the printed case refutes; with another one where that explains it too."""
        component = verdict.component
        finding = next((f for f in self._found.get(component, ()) if f.names == verdict.finding), None)
        if finding is None or not self.names.is_refuted(claim, verdict, finding):
            return verdict
        self._found[component].remove(finding)
        self.findings.pop(component, None)
        bare = replace(verdict, finding=(), or_else=(), covers=())
        return self._named_truly(claim, self._explained(claim, bare, evidence), evidence)

    def held(self, claim: Claim, verdict: Verdict) -> Verdict:
        """The verdict; advice where the implementation is not held to the claim."""
        return as_advice(verdict, claim, self.half_precision or mentions_half_precision(verdict.where))

    def measurements(self, component: str) -> list[Measurement]:
        """What is measured of a component beyond right and wrong. What failed on the way is in ``not_measured``."""
        contract = self.catalogue.contracts[component]
        self.bench.progress(f"measuring {component}")
        taken = (self.bench.measure(contract, measure) for measure in contract.measures)
        return [measurement for measurement in taken if measurement is not None]

    @property
    def not_measured(self) -> list[str]:
        """Measurements that failed, with what happened and after how many seconds."""
        return self.bench.not_measured

    def timed(self, component: str, workload: Workload, **options: Any) -> Any:
        """One workload beside the reference and its peers: see :func:`harness.benchmark.running.measure`."""
        from harness.benchmark.running import measure  # the profiler is loaded for those who time

        assert isinstance(self.implementation, Executor)
        reference = reference_executor(self.catalogue.contracts, self.edits, time_limit=0.0, trusted=True)
        contract = self.catalogue.contracts[component]
        return measure(contract, workload, self.implementation, reference, seed=self.seed, **options)

    def judge_case(self, component: str, claim: Claim, case: Any) -> Verdict:
        """One claim on one given case, with its finding (a replay)."""
        contract = self.catalogue.contracts[component]
        verdict, evidence = self.bench.judge(contract, claim, shrink=False, only=(case,))
        finding = self.explain(component, evidence) if verdict.failing else None
        return replace(verdict, finding=finding.names) if finding else verdict

    def explain(self, component: str, evidence: Sequence[Evidence] = ()) -> Finding | None:
        """What explains the component's cases and this evidence. Parts are explained first.

        A hand-written backward function may be right where its component is wrong: what is computed forwards is then
        explained alone.
        """
        cases = self.observations.of(component)
        evidence = [item for item in evidence if is_offered(item.answer)]
        apart = self.is_by_hand(component)
        backwards = apart and any(item.request.gradients is not None for item in evidence)
        if apart and not backwards:
            cases = [o for o in cases if o.request.gradients is None]
        if evidence and not backwards and any(is_wrong(o) for o in cases) and self.finding_of(component) is None:
            return None  # what explains them and the evidence would explain them alone
        evidence = [*evidence, *self.names.against.get(component, ())]
        first, (diagnostician, beside) = self._first(component), self.observed(component, evidence)
        if diagnostician is self.by_result:
            if any(is_wrong(o) for o in beside):
                return diagnostician.explain(component, beside, first)
            beside = [self.observations.of_evidence(item) for item in evidence]
        found = self.diagnostician.explain(component, [*cases, *beside], first, any(is_wrong(o) for o in cases))
        return found or found_in_float32(self, component, cases, beside, first)

    def observed(self, component: str, evidence: Sequence[Evidence]) -> tuple[Diagnostician, list[Observation]]:
        """What was answered beside what is right, and who explains it: what a component that need not agree hands on
        inside is the implementation's own business."""
        observations = [self.observations.of_evidence(item) for item in evidence]
        if self.catalogue.contracts[component].agrees:
            return self.diagnostician, observations
        return self.by_result, [last_result_alone(o) for o in observations]

    def mistake(self, full_name: str) -> KnownMistake | None:
        """The known mistake, legal form or relation of this name, whatever its number; None where there is none."""
        for found in (self.diagnostician.relations, self.by_result.relations):
            if full_name in found:
                return found[full_name]
        with suppress(KeyError):
            return self.catalogue.mistake(full_name)
        return self.catalogue.form(full_name)

    def known(self) -> dict[str, KnownMistake]:
        """Every known mistake and undeclared legal variant by its full name."""
        contracts = self.diagnostician.contracts.values()
        return {
            b.full_name: b
            for b in [*self.catalogue.all_mistakes(), *(b for c in contracts for b in variants_as_mistakes(c))]
        }

    def finding_of(self, component: str) -> Finding | None:
        """What explains the component's cases alone (None too where it is right)."""
        if component not in self.findings:
            self.findings[component] = None
            offer = self.bench.implementation.offers(component)
            if offer is not None and not (offer.to_do or offer.misfit):
                with suppress(RanOutOfTime, ToDo):  # its own checks report that
                    self.findings[component] = self.explain(component)
        return self.findings[component]

    def agrees(self, component: str) -> bool:
        """Whether it gives the reference's numbers on its cases, in its working precision."""
        return not any(is_wrong(observation) for observation in self.observations.of(component))

    def is_by_hand(self, component: str) -> bool:
        """Whether a hand-written backward function gives its gradients."""
        offer = self.bench.implementation.offers(component)
        return offer is not None and offer.by_hand is not None

    def _first(self, component: str) -> list[tuple[KnownMistake, ...]]:
        below = [f for part in self.catalogue.contracts[component].parts if (f := self.finding_of(part))]
        union = tuple(dict.fromkeys(mistake for finding in below for mistake in finding.mistakes))
        own = [f for f in (*reversed(self._found.get(component, ())), self.findings.get(component)) if f]
        return [mistakes for mistakes in dict.fromkeys((*(f.mistakes for f in own), union)) if mistakes]
