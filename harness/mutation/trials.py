"""One mutant before the judge: which check of which component notices it first."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType, FunctionType, ModuleType

from harness.core.contract import Contract, Variant
from harness.core.implementation import Request
from harness.core.mistake import Edit, fits
from harness.core.record import Status
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.mutation import alarm
from harness.mutation.making import Key, Mutant, mutants_of
from harness.project.forms import edits_of_forms

SECONDS_PER_CASE = 5.0
"""Processor seconds for one case of a mutant. One that needs more is taken for an endless loop."""


@dataclass(frozen=True)
class Place:
    """Where a mutant is judged: a component, in the plain form or in a declared one."""

    component: str
    form: str = ""

    def __str__(self) -> str:
        return f"{self.component}={self.form}" if self.form else self.component


@dataclass(frozen=True)
class Outcome:
    """What came of one mutant.

    ``killed_by``: the first check that failed, None for a survivor. ``status``: how it failed. ``place``: where it was
    judged last. ``reached``: whether a check ran the changed line at all.
    """

    mutant: Key
    place: Place
    killed_by: str | None
    status: Status | None
    reached: bool
    seconds: float


@dataclass(frozen=True)
class Effort:
    """How much work the judge does: the seed of the cases and the effort of a run."""

    seed: int = 0
    effort: str = "default"


def population(known: Catalogue, component: str, most: int = 0) -> list[Mutant]:
    """The mutants of the code that is a component's own, in the order of files and lines.

    ``most``: take so many of them (0: all), chosen by a digest of what they say: the choice stays when others come and
    go.
    """
    gradients = known.contracts[component].differentiable
    found = [mutant for module in _modules(known, component) for mutant in mutants_of(module, gradients)]
    found = [
        mutant
        for mutant in found
        if places_of(known, mutant)[0].component == component
        and _is_used(sys.modules[mutant.edit.of.__module__], mutant.of.split(".")[1])
    ]
    if most and len(found) > most:
        chosen = {mutant.key for mutant in sorted(found, key=_digest)[:most]}
        found = [mutant for mutant in found if mutant.key in chosen]
    return found


def places_of(known: Catalogue, mutant: Mutant) -> list[Place]:
    """Where a mutant is judged: the components whose file it is in, those that use the function, each in its forms."""
    module = sys.modules[mutant.edit.of.__module__]
    own = [c.name for c in known.contracts.values() if c.reference.__module__ == module.__name__]
    first = mutant.of.split(".")[1]
    own.sort(key=lambda name: known.contracts[name].reference.__name__ != first)
    others = [c.name for c in known.contracts.values() if c.name not in own and _uses(c, module)]
    return [Place(name) for name in (*own, *others)]


def _uses(contract: Contract, module: ModuleType) -> bool:
    """Whether a component's own file takes something from this module."""
    own = sys.modules[contract.reference.__module__]
    return any(getattr(value, "__module__", None) == module.__name__ for value in vars(own).values())


def _modules(known: Catalogue, component: str) -> list[ModuleType]:
    """The module of a component, and those it takes something from."""
    own = sys.modules[known.contracts[component].reference.__module__]
    package = own.__name__.partition(".")[0] + "."
    names = {own.__name__} | {getattr(value, "__module__", None) or "" for value in vars(own).values()}
    return [sys.modules[name] for name in sorted(names) if name.startswith(package)]


@cache
def _is_used(module: ModuleType, function: str) -> bool:
    """Whether a component comes to a function of this module: it is a component itself, or a component's file or a
    function that is used takes it. What only counts for people (the size of a model) is not judged."""
    references = [contract.reference for contract in load_catalogue().contracts.values()]
    taken = {reference.__name__ for reference in references if reference.__module__ == module.__name__}
    files = {reference.__module__ for reference in references} - {module.__name__}
    for name, value in (item for file in files for item in vars(sys.modules[file]).items()):
        taken |= {name} if getattr(value, "__module__", "") == module.__name__ else set()
    while more := {n for name in taken for n in _names_in(vars(module).get(name))} & set(vars(module)) - taken:
        taken |= more
    return function in taken


def _names_in(value: object) -> set[str]:
    """The names that a function, or the methods of a class, look up."""
    methods = vars(value).values() if isinstance(value, type) else [value]
    codes = [method.__code__ for method in methods if isinstance(method, FunctionType)]
    for code in codes:  # with those of its comprehensions
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return {name for code in codes for name in code.co_names}


def _digest(mutant: Mutant) -> str:
    return hashlib.sha256("\n".join(map(str, mutant.key)).encode()).hexdigest()


def try_mutant(known: Catalogue, mutant: Mutant, effort: Effort) -> Outcome:
    """Judge the reference with this change until a check fails.

    In the plain form first; where that does not reach the line, in the legal forms, and by the components that use the
    function, in the first of these that does. A survivor is judged in the forms that change its own function, too.
    """
    started, own = time.perf_counter(), places_of(known, mutant)[0]
    place = next((place for place in _all_places(known, mutant) if _reaches(known, mutant, place, effort)), None)
    reached, place = place is not None, place or own
    claim, status = _first_failure(known, mutant.edit, place, effort)
    for form in _forms_of(known, mutant, place) if claim is None else ():
        claim, status = _first_failure(known, mutant.edit, form, effort)
        if claim is not None:
            place = form
            break
    reached |= claim is not None
    return Outcome(mutant.key, place, claim, status, reached, time.perf_counter() - started)


def _forms_of(known: Catalogue, mutant: Mutant, place: Place) -> list[Place]:
    """The legal forms that change the mutant's function, where it was judged in the plain form."""
    forms = [] if place.form else _forms(known.contracts[place.component])
    return [Place(place.component, f.name) for f in forms if any(edit.of is mutant.edit.of for edit in f.edits)]


def _all_places(known: Catalogue, mutant: Mutant) -> Iterator[Place]:
    """Every component in the plain form, then in its legal ones; first the forms that change the mutant's own file,
    alone and beside one of the sheet's first axis, without which others may not show."""
    places = places_of(known, mutant)
    yield from places
    for place in places:
        forms = _forms(known.contracts[place.component])
        near = [form for form in forms if any(edit.of.__module__ == mutant.edit.of.__module__ for edit in form.edits)]
        beside = [form for form in forms if form not in near]
        first = [form for form in beside if form.axis == beside[0].axis]
        pairs = [f"{other.name}+{form.name}" for other in first for form in near]
        for name in (*(form.name for form in near), *pairs, *(form.name for form in beside)):
            yield Place(place.component, name)


def _forms(contract: Contract) -> list[Variant]:
    """The legal other forms of a component; of those that are numbers, one each."""
    forms = list(contract.variants)
    for number in contract.numbers:
        forms += [number.at(value) for value in number.candidates if value != number.default][:1]
    return [form for form in forms if form.edits and not form.is_default and not form.given]


def _reaches(known: Catalogue, mutant: Mutant, place: Place, effort: Effort) -> bool:
    """Whether any call of a check comes to the line; taken for so where no alarm can be put there."""
    return mutant.alarm is None or _rings(mutant.alarm, place, effort)


@cache
def _rings(edit: Edit, place: Place, effort: Effort) -> bool:
    known, bench = load_catalogue(), right(place, effort).bench
    inspection = _with(known, edit, place, effort)
    if inspection is None:
        return False
    contract = known.contracts[place.component]
    alarm.reset()
    for claim in known.claims_of(place.component):
        for case in bench.cases_of(contract, claim):
            inspection.bench.implementation.run(Request(place.component, case))
            if alarm.has_rung():
                return True
    if not place.form and _is_own(known, edit, place):  # claims may call what no case does
        _first_failure(known, edit, place, effort)
    return alarm.has_rung()


def _is_own(known: Catalogue, edit: Edit, place: Place) -> bool:
    return known.contracts[place.component].reference.__module__ == edit.of.__module__


def _first_failure(known: Catalogue, edit: Edit, place: Place, effort: Effort) -> tuple[str | None, Status | None]:
    """The first check of a component that fails with an edit in force, and how; the last where none passes either.

    Nothing where the edit does not fit beside those of the form.
    """
    inspection = _with(known, edit, place, effort)
    if inspection is None:
        return None, None
    contract = known.contracts[place.component]
    statuses = set()
    for claim in known.claims_of(place.component):
        verdict, _ = inspection.bench.judge(contract, claim, shrink=False, enough=1)
        if verdict.failing:
            return claim.name, verdict.status
        statuses.add(verdict.status)
    if Status.TO_DO in statuses or Status.PASSED not in statuses:  # it is not judged, and the run says so
        return claim.name, verdict.status
    return None, None


def _with(known: Catalogue, edit: Edit, place: Place, effort: Effort) -> Inspection | None:
    """The reference with an edit in force; None where it does not fit beside those of the form."""
    like = right(place, effort)
    edits = (*like.edits, edit)
    if not fits(edits):
        return None
    executor = reference_executor(known.contracts, edits, time_limit=SECONDS_PER_CASE)
    variants = _variants(place)
    return Inspection(known, executor, effort.seed, variants=variants, effort=effort.effort, like=like)


def right(place: Place, effort: Effort) -> Inspection:
    """The reference judged against itself in a form; all mutants that are judged there share its work."""
    return _right(place, effort)


@cache
def _right(place: Place, effort: Effort) -> Inspection:
    known, variants = load_catalogue(), _variants(place)
    edits = edits_of_forms(variants, known.contracts)
    executor = reference_executor(known.contracts, edits)
    return Inspection(known, executor, effort.seed, variants=variants, effort=effort.effort)


def _variants(place: Place) -> dict[str, str]:
    return {place.component: place.form} if place.form else {}
