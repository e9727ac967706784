"""One implementation beside the reference, with the whole catalogue: what the plug-in and the command line both stand on."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import harness.claims
from harness.core.case import is_float
from harness.core.claim import Claim
from harness.core.contract import Contract, Variant
from harness.core.defaults import with_eps
from harness.core.errors import UsageError
from harness.core.implementation import Answer, Implementation, Offer, Request
from harness.core.measurement import Measurement
from harness.core.mistake import Edit, KnownMistake, applied
from harness.core.record import CRASHED, TIMED_OUT, VIOLATED, Verdict
from harness.core.registry import RegistryError, scan
from harness.core.serialize import from_json, to_json
from harness.core.tree import leaves
from harness.core.workload import Workload
from harness.diagnosis.search import Diagnostician, Finding, Observation, edits_of, is_wrong, variants_as_mistakes
from harness.discovery.search import discover
from harness.execution.caching import CachingImplementation
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter, FunctionAdapter
from harness.judging.judge import COTANGENT_SEED, Bench, Evidence
from harness.numerics.gradient_relations import ComparedCall, in_words
from harness.numerics.tolerance import magnitude
from harness.project.variants import Declared, Project, in_one_line, in_project

NO_PROJECT = Project()
IMPORT_LIMIT = 2.0
"""How many times longer than one case an import may take: libraries are large, a training loop has no end."""


@dataclass(frozen=True)
class Catalogue:
    """Everything in the folders: contracts in reading order, generic claims, known mistakes by component."""

    contracts: Mapping[str, Contract]
    claims: Mapping[str, Claim]
    mistakes: Mapping[str, tuple[KnownMistake, ...]]

    def claims_of(self, component: str) -> list[Claim]:
        """The generic claims that fit a component, then its own."""
        contract = self.contracts[component]
        return [claim for claim in self.claims.values() if claim.needs(contract)] + list(contract.claims)

    def mistake(self, full_name: str) -> KnownMistake:
        """The known mistake ``component.name``; or legal variant ``component.variant=name``; KeyError with near names otherwise."""
        for mistake in self.all_mistakes():
            if mistake.full_name == full_name:
                return mistake
        names = [mistake.full_name for mistake in self.all_mistakes()]
        for contract in self.contracts.values():
            for mistake in variants_as_mistakes(contract):
                if mistake.full_name == full_name:
                    return mistake
        near = difflib.get_close_matches(full_name, names, 3, 0.4)
        raise KeyError(
            f"no known mistake {full_name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"there are {len(names)}: see `plumbline list --bugs`")
        )

    def all_mistakes(self) -> list[KnownMistake]:
        return [mistake for group in self.mistakes.values() for mistake in group]


def catalogue(specs: ModuleType, mistakes: ModuleType) -> Catalogue:
    """Read the folders. Raises RegistryError naming a file without its object, or a sheet whose name is not its file's."""
    contracts = scan(specs, "CONTRACT", Contract)
    for name, contract in contracts.items():
        if contract.name != name:
            raise RegistryError(
                f"specs/{name}.py holds the contract of {contract.name!r}; file and component share one name"
            )
    found = scan(mistakes, "MISTAKES", tuple)
    placed = {name: tuple(mistake.within(name) for mistake in group) for name, group in found.items()}
    for name in placed:
        if name not in contracts:
            raise RegistryError(f"specs/bugs/{name}.py holds mistakes of {name!r}, which has no sheet in specs/")
    return Catalogue(_in_reading_order(contracts), scan(harness.claims, "CLAIM", Claim), placed)


def _in_reading_order(contracts: Mapping[str, Contract]) -> dict[str, Contract]:
    """What the project is known for goes first, with all that it is made of; parts before composites in both halves."""

    def made_of(name: str) -> set[str]:
        parts = [part for part in contracts[name].parts if part in contracts]
        return {name}.union(*(made_of(part) for part in parts))

    first = set().union(*(made_of(name) for name, contract in contracts.items() if contract.headline))
    return dict(sorted(contracts.items(), key=lambda item: (item[0] not in first, item[1].order, item[0])))


@cache
def load_catalogue() -> Catalogue:
    """The catalogue of this project: the one place where the machine finds the sheets, by name, at run time."""
    return catalogue(importlib.import_module("specs"), importlib.import_module("specs.bugs"))


def reference_executor(contracts: Mapping[str, Contract], edits: tuple[Any, ...] = (), **options: Any) -> Executor:
    """The reference as an implementation, with edits in force during every run."""
    adapters = {
        name: FunctionAdapter(contract.reference) if contract.is_function else ClassAdapter(contract.reference)
        for name, contract in contracts.items()
    }
    around: Any = partial(applied, edits) if edits else nullcontext
    return Executor(options.pop("name", "the reference"), adapters, contracts, around=around, **options)


@dataclass
class Inspection:
    """Judges an implementation claim by claim and explains what it finds.

    ``variants``: declared legal forms by component. ``like``: an inspection of another implementation with the same seed and
    variants, whose drawn cases, reference answers and tolerances are shared.
    """

    catalogue: Catalogue
    implementation: Implementation
    seed: int = 0
    cases: int | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    notes: Sequence[str] = ()
    like: Inspection | None = None
    eps: float | None = None
    effort: str = "default"
    expected: Mapping[str, str] = field(default_factory=dict)
    """Failures that the implementation's own module expects, with reasons."""
    bench: Bench = field(init=False)
    findings: dict[str, Finding | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contracts = self.catalogue.contracts
        self.edits = tuple(edit for c, v in self.variants.items() for edit in variant_of(contracts, c, v).edits)
        if self.like is None:
            reference: Implementation = CachingImplementation(
                reference_executor(contracts, self.edits, time_limit=0.0, trusted=True)
            )
        else:
            if self._drawn_by != self.like._drawn_by:
                raise ValueError(
                    "inspections that share the reference's work need the same seed, cases, effort and variants"
                )
            reference = self.like.bench.reference
        undeclared = {
            name: replace(contract, variants=()) if name in self.variants else contract
            for name, contract in contracts.items()
        }

        def executor(edits: tuple[Edit, ...], trusted: bool = False) -> Executor:
            return reference_executor(contracts, (*self.edits, *edits), time_limit=10.0, trusted=trusted)

        self.bench = Bench(
            contracts,
            CachingImplementation(self.implementation),
            reference,
            seed=self.seed,
            cases=self.cases,
            effort=self.effort,
            like=self.like.bench if self.like else None,
            edited=partial(executor, trusted=True),
            variants=self.variants,
        )
        mistakes, always = self.catalogue.mistakes, self.edits
        self.diagnostician = Diagnostician(
            undeclared, mistakes, executor, partial(executor, trusted=True), always=always
        )
        self.by_result = Diagnostician(
            undeclared, mistakes, lambda edits: _LastResultOnly(executor(edits)), always=always
        )
        self._told: set[tuple[str, Any]] = set()
        self._unexplained: set[tuple[str, str] | None] = set()
        """Crashes that nothing known explains: not looked for again in every claim that they spoil."""
        self._deck_evidence: dict[tuple[str, bool], list[Observation]] = {}

    @property
    def _drawn_by(self) -> tuple[Any, ...]:
        return self.seed, self.cases, self.effort, dict(self.variants)

    @property
    def declared(self) -> Declared:
        """What was declared of the implementation, wherever."""
        return Declared(dict(self.variants), self.eps)

    @property
    def begun(self) -> tuple[str, ...]:
        """The components that are there, as far as can be told without calling anything; the rest is to do."""
        unfinished = self.implementation.to_do if isinstance(self.implementation, Executor) else lambda name: ""
        return tuple(name for name in self.implementation.components if not unfinished(name))

    def judge(self, component: str, claim: Claim) -> Verdict:
        """One claim, with its finding where a known mistake explains the violation."""
        contract = self.catalogue.contracts[component]
        verdict, evidence = self.bench.judge(contract, claim, shrink=False)
        if not verdict.failing:
            return verdict
        crash = (component, verdict.message) if verdict.status == CRASHED else None
        self.bench.progress(f"{component}::{claim.name}: which known mistake gives these numbers")
        known_to_be_unknown = verdict.status == TIMED_OUT or crash in self._unexplained
        finding = None if known_to_be_unknown else self.explain(component, evidence)
        if finding is None and crash is not None:
            self._unexplained.add(crash)
        if finding is not None:
            verdict = replace(verdict, finding=finding.names, or_else=tuple(b.full_name for b in finding.or_else))
        told = (component, verdict.finding or verdict.message)
        if told in self._told:  # it will be counted beneath the first one that says the same
            return verdict
        self._told.add(told)
        verdict = self.bench.smaller(contract, claim, verdict)
        if verdict.status == VIOLATED and not verdict.finding and claim.name.startswith("gradients_agree"):
            verdict = replace(verdict, message=self._gradients_in_words(component) or verdict.message)
        return verdict

    def facts(self, component: str) -> list[Measurement]:
        """What is measured of a component beyond right and wrong, as far as it is there."""
        contract = self.catalogue.contracts[component]
        self.bench.progress(f"measuring {component}")
        return [fact for measure in contract.measures if (fact := self.bench.measure(contract, measure)) is not None]

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
        """What explains the component's deck and this evidence. Parts are explained first.

        A hand-written backward function may be right where its component is wrong: what is computed forwards is then
        explained alone.
        """
        deck, evidence = self._deck(component), [item for item in evidence if _is_offered(item.answer)]
        apart = self._is_by_hand(component)
        backwards = apart and any(item.request.gradients is not None for item in evidence)
        if apart and not backwards:
            deck = [o for o in deck if o.request.gradients is None]
        if evidence and not backwards and any(is_wrong(o) for o in deck) and self.finding_of(component) is None:
            return None  # what explains a deck and more would explain the deck
        observations = [*deck, *(self._observed(item) for item in evidence)]
        first = self._first(component)
        if not self.catalogue.contracts[component].agrees:  # what is handed on inside is nobody's business but theirs
            results = [_result_alone(o) for o in observations]
            if any(is_wrong(o) for o in results):
                return self.by_result.explain(component, results, first)
        found = self.diagnostician.explain(component, observations, first)
        return found or self._in_float32(component, deck, first)

    def known(self) -> dict[str, KnownMistake]:
        """Every known mistake and undeclared legal variant by its full name."""
        contracts = self.diagnostician.contracts.values()
        return {
            b.full_name: b
            for b in [*self.catalogue.all_mistakes(), *(b for c in contracts for b in variants_as_mistakes(c))]
        }

    def finding_of(self, component: str) -> Finding | None:
        """What explains the component's deck alone (None too where it is right)."""
        if component not in self.findings:
            self.findings[component] = None
            offer = self.bench.implementation.offers(component)
            if offer is not None and not offer.to_do:
                self.findings[component] = self.explain(component)
        return self.findings[component]

    def _gradients_in_words(self, component: str) -> str:
        """Which gradients of the deck are wrong, and how; nothing where what is computed forwards is wrong already."""
        deck = self._deck(component)
        if any(is_wrong(o) for o in deck if o.request.gradients is None) and not self._is_by_hand(component):
            return ""
        runs = [
            ComparedCall(o.request, o.answer, o.reference, o.tolerance) for o in deck if o.request.gradients is not None
        ]
        return in_words(self.catalogue.contracts[component], runs, self.bench.reference.run)

    def _is_by_hand(self, component: str) -> bool:
        offer = self.bench.implementation.offers(component)
        return offer is not None and offer.by_hand is not None

    def _first(self, component: str) -> list[tuple[KnownMistake, ...]]:
        below = [f for part in self.catalogue.contracts[component].parts if (f := self.finding_of(part))]
        union = tuple(dict.fromkeys(mistake for finding in below for mistake in finding.mistakes))
        own = self.findings.get(component)
        return [mistakes for mistakes in (own.mistakes if own else (), union) if mistakes]

    def _deck(self, component: str, single: bool = False) -> list[Observation]:
        """What it answers over its deck, in its working precision or in float32."""
        key = (component, single)
        if key not in self._deck_evidence:
            contract, seen = self.catalogue.contracts[component], []
            dtype = torch.float32 if single else self.bench.precision(contract)
            for index, case in enumerate(self.bench.deck(contract)):
                case = case.cast(dtype)
                for gradients in (None, COTANGENT_SEED) if contract.differentiable and index < 12 else (None,):
                    request = Request(component, case, gradients=gradients)
                    answer = self.bench.implementation.run(request)
                    if _is_offered(answer):
                        seen.append(self._observed(Evidence(request, answer)))
            self._deck_evidence[key] = seen if contract.agrees else []
        return self._deck_evidence[key]

    def _in_float32(self, component: str, deck: Sequence[Observation], first: Any) -> Finding | None:
        """What explains it in float32, where nothing does in float64: wrong code that also computes in float32 inside.

        Where it raises, what explains it must raise too; and some of it must be numbers.
        """
        contract = self.catalogue.contracts[component]
        if self.bench.precision(contract) != torch.float64 or not any(is_wrong(o) for o in deck):
            return None
        crashed = not any(is_wrong(o) and o.answer.crash is None for o in deck)
        exact = any(o.request.case.tensors() for o in deck)
        return (
            None if crashed or not exact else self.diagnostician.explain(component, self._deck(component, True), first)
        )

    def _observed(self, item: Evidence) -> Observation:
        request = item.request
        reference = self.bench.reference.run(replace(request, fresh=False))
        floats = [leaf.dtype for _, leaf in request.case.tensors() if leaf.is_floating_point()]
        dtype = floats[0] if floats else self.bench.precision(self.catalogue.contracts[request.component])
        _, tolerance = self.bench.agreement(request.component, request.case, dtype, request.gradients is not None)
        return Observation(
            request, item.answer, reference, tolerance if tolerance.crash is None else Answer(), item.effects
        )


def _is_offered(answer: Answer) -> bool:
    """Whether it says anything of what their code computes."""
    return answer.crash is None or answer.crash.kind != "not offered"


class _LastResultOnly:
    """An implementation of whose script only the last result is seen."""

    def __init__(self, implementation: Implementation) -> None:
        self.implementation, self.name, self.components = implementation, implementation.name, implementation.components

    def offers(self, component: str) -> Offer | None:
        return self.implementation.offers(component)

    def run(self, request: Request) -> Answer:
        return _last(self.implementation.run(request))


def _result_alone(o: Observation) -> Observation:
    """The last results of a script, to be compared as closely as float32 allows, or as their own dtype, if coarser."""
    answer, reference = _last(o.answer), _last(o.reference)
    floats = [leaf.dtype for _, leaf in leaves(list(answer.outputs)) if is_float(leaf)]
    coarsest = max(torch.finfo(dtype).eps for dtype in (torch.float32, *floats))
    bound = 8 * coarsest * magnitude(list(reference.outputs))
    return replace(o, answer=answer, reference=reference, tolerance=Answer((bound,)))


def _last(answer: Answer) -> Answer:
    return replace(answer, outputs=answer.outputs[-1:])


def variant_of(contracts: Mapping[str, Contract], component: str, name: str) -> Variant:
    """The declared variant; KeyError that lists the legal ones otherwise."""
    if component not in contracts:
        raise KeyError(
            f"a variant is declared for {component!r}, which is no component; there are: {', '.join(contracts)}"
        )
    for variant in contracts[component].variants:
        if variant.name == name:
            return variant
    legal = ", ".join(v.name for v in contracts[component].variants) or "none"
    raise KeyError(f"{component} has no variant {name!r}; legal variants: {legal}")


def inspect_implementation(
    impl: str,
    *,
    seed: int = 0,
    cases: int | None = None,
    time_limit: float = 60.0,
    variants: str | Mapping[str, str] = "",
    project: Project = NO_PROJECT,
    effort: str = "default",
) -> Inspection:
    """An inspection of what ``--impl`` names. Raises UsageError with a complete text where it cannot be had.

    What is declared in ``variants`` (the command line) goes before what their own file declares, and that before what
    the project's table does.
    """
    torch.set_num_threads(1)  # the tensors are small: a second thread only waits, and two processes wait for each other
    known = load_catalogue()
    in_file = in_project(project, known.contracts)
    given = in_one_line(variants) if isinstance(variants, str) else Declared(dict(variants))
    if impl.startswith("bug:"):
        try:
            mistakes = [known.mistake(name.strip()) for name in impl.removeprefix("bug:").split("+")]
        except KeyError as error:
            raise UsageError(str(error.args[0])) from None
        known, declared = _with(known, given.over(in_file))
        edits = tuple(e for c, v in declared.variants.items() for e in variant_of(known.contracts, c, v).edits)
        executor = reference_executor(known.contracts, (*edits, *edits_of(mistakes)), name=impl, time_limit=time_limit)
        return Inspection(
            known,
            executor,
            seed,
            cases,
            declared.variants,
            "the reference with this mistake",
            eps=declared.eps,
            effort=effort,
        )
    eps = given.eps if given.eps is not None else in_file.eps
    found = discover(impl, _with(known, Declared({}, eps))[0].contracts, max(IMPORT_LIMIT * time_limit, 5.0))
    known, declared = _with(known, given.over(Declared(found.variants, found.eps)).over(in_file))
    if declared.eps != eps:  # their own file said it
        for name, adapter in found.adapters.items():
            if hasattr(adapter, "contract"):
                adapter.contract = known.contracts[name]
    executor = Executor(found.name, found.adapters, known.contracts, time_limit=time_limit)
    notes = tuple(found.notes)
    return Inspection(
        known,
        executor,
        seed,
        cases,
        declared.variants,
        found.where,
        notes,
        eps=declared.eps,
        effort=effort,
        expected=found.expected,
    )


def _with(known: Catalogue, declared: Declared) -> tuple[Catalogue, Declared]:
    """The catalogue as it is for what is declared. Raises UsageError where a variant is none."""
    _declared(known, declared.variants)
    if declared.eps is None:
        return known, declared
    contracts = {name: with_eps(contract, declared.eps) for name, contract in known.contracts.items()}
    return replace(known, contracts=contracts), declared


def _declared(known: Catalogue, variants: Mapping[str, str]) -> None:
    for component, name in variants.items():
        try:
            variant_of(known.contracts, component, name)
        except KeyError as error:
            raise UsageError(str(error.args[0])) from None


def save_case(folder: Path, verdict: Verdict, case: Any, seed: int, options: Mapping[str, str]) -> None:
    """Keep a violating case for ``plumbline replay``. A folder that cannot be written to loses the file, not the run."""
    body = {
        "version": 1,
        "component": verdict.component,
        "claim": verdict.claim,
        "impl": options.get("impl", ""),
        "variants": options.get("impl_variant", ""),
        "seed": seed,
        "message": verdict.message,
        "case": to_json(case),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{verdict.case_id}.json").write_text(json.dumps(body), encoding="utf-8")
    except (OSError, TypeError):
        return


def load_case(path: Path) -> tuple[dict[str, Any], Any]:
    """A kept case with what is known of it. Raises UsageError naming the file where it is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return body, from_json(body["case"])
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not a kept case: {error}") from None
