"""What ``--impl`` names becomes an inspection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from harness.core.errors import UsageError
from harness.core.mistake import KnownMistake, named_mistakes
from harness.core.note import Note
from harness.diagnosis.finding import edits_of
from harness.execution.discovered import Discovered
from harness.isolation.level import Level
from harness.judging.accepted_forms import with_accepted_forms
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.part_forms import replaced, with_forms_of_wholes
from harness.judging.places_of_code import Apart, Here, PlaceOfCode, WhatWasFound
from harness.judging.reference import reference_executor
from harness.judging.stand_ins import notes_of, with_forms_of_missing
from harness.project.epsilon import with_eps
from harness.project.forms import edits_of_forms, that_fit
from harness.project.precision import HALF_PRECISION, half_precision
from harness.project.variants import Declared, Project, in_one_line, in_project, merged

NO_PROJECT = Project()


def inspect_implementation(
    impl: str,
    *,
    seed: int = 0,
    cases: int | None = None,
    time_limit: float = 60.0,
    variants: str | Mapping[str, str] = "",
    project: Project = NO_PROJECT,
    effort: str = "default",
    isolation: Level = Level.NONE,
) -> Inspection:
    """An inspection of what ``--impl`` names. Raises UsageError with a complete text where it cannot be had.

    What is declared in ``variants`` (the command line) goes before what the implementation's own file declares, and
    that before what the project's table does. ``isolation``: where its code runs; known mistakes of the reference run
    in this process always.
    """
    torch.set_num_threads(1)  # the tensors are small: a second thread only waits, and two processes wait for each other
    known, file = load_catalogue(), f"{project.file}, [tool.plumbline]"
    wide = half_precision(project.table.get(HALF_PRECISION, False), file)
    said = _given(variants, known), in_project(project, known.contracts)
    if names := named_mistakes(impl):
        loaded = _mistaken(impl, names, known, said, time_limit)
    else:
        code = Here(impl, time_limit) if isolation is Level.NONE else Apart(impl, time_limit, isolation)
        loaded = _loaded(code, known, said, seed)
    declared, wide = loaded.declared, wide or loaded.half_precision
    inspection = partial(Inspection, loaded.known, loaded.implementation, seed, cases, declared.variants)
    rest = (declared.eps, effort, loaded.expected, wide, loaded.anew)
    return inspection(loaded.where, loaded.notes, None, *rest)


@dataclass(frozen=True)
class _Loaded:
    """What there is to inspect: see the fields of Inspection."""

    known: Catalogue
    declared: Declared
    implementation: Discovered
    where: str
    notes: tuple[Note, ...]
    half_precision: bool
    expected: Mapping[str, str] = field(default_factory=dict)
    anew: Callable[[], Discovered] | None = None


def _mistaken(
    impl: str, names: Sequence[str], known: Catalogue, said: tuple[Declared, Declared], time_limit: float
) -> _Loaded:
    """The reference with known mistakes. ``said``: what the command line and the project's table declare."""
    mistakes, notes = _mistakes(known, names)
    given, in_file = said
    known, declared = _with(known, merged(known.contracts, given, _under(mistakes, known), in_file))
    edits = (*edits_of_forms(declared.variants, known.contracts), *edits_of(mistakes))
    executor = reference_executor(known.contracts, edits, name=impl, time_limit=time_limit)
    return _Loaded(known, declared, executor, "the reference with this mistake", notes, True)


def _loaded(code: PlaceOfCode, known: Catalogue, said: tuple[Declared, Declared], seed: int) -> _Loaded:
    """What was found, and the forms in which it is judged."""
    known, declared, found = _discovered(code, known, *said)
    gone, replacing = replaced(code.components, declared, known.contracts)
    implementation = code.judged(known.contracts, declared.eps, gone)
    declared = with_accepted_forms(declared, found.accepted, known, implementation, seed)
    declared = with_forms_of_missing(declared, known.contracts, implementation.found)
    declared, of_parts = with_forms_of_wholes(declared, known.contracts, implementation.found)
    instead = notes_of(known.contracts, implementation.found)
    notes = (*found.notes, *code.notes(), *instead, *of_parts, *replacing)
    wide, expected = found.half_precision, dict(found.expected)
    return _Loaded(known, declared, implementation, found.where, notes, wide, expected, code.anew)


def _discovered(
    code: PlaceOfCode, known: Catalogue, given: Declared, in_file: Declared
) -> tuple[Catalogue, Declared, WhatWasFound]:
    """What was found, with the catalogue and the declarations as the implementation's own file makes them."""
    eps = given.eps if given.eps is not None else in_file.eps
    found = code.discover(_with(known, Declared({}, eps))[0].contracts, eps)
    known = replace(known, contracts={**known.contracts, **code.on_models(known.contracts)})
    known, declared = _with(known, merged(known.contracts, given, Declared(dict(found.variants), found.eps), in_file))
    return known, declared, found


def _given(variants: str | Mapping[str, str], known: Catalogue) -> Declared:
    """What the command line declares. Raises UsageError where a name is unknown."""
    if isinstance(variants, str):
        return in_one_line(variants, known.contracts)
    try:
        edits_of_forms(variants, known.contracts)
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    return Declared(dict(variants))


def _under(mistakes: Sequence[KnownMistake], known: Catalogue) -> Declared:
    """The forms that known mistakes exist in."""
    return in_one_line(",".join(form for mistake in mistakes for form in mistake.under), known.contracts)


def _mistakes(known: Catalogue, names: Sequence[str]) -> tuple[list[KnownMistake], tuple[Note, ...]]:
    """The known mistakes of these names, and a note of names that have changed.

    Raises UsageError where a name is no mistake's.
    """
    try:
        mistakes = [known.mistake(name) for name in names]
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    today = known.names()
    for name in names:
        today.mistake(name)
    return mistakes, today.notes()


def _with(known: Catalogue, declared: Declared) -> tuple[Catalogue, Declared]:
    """The catalogue as it is for what is declared, and of that the forms that have a place.

    Raises UsageError where a form has none.
    """
    fitting = that_fit(declared.variants, known.contracts, "what is declared")
    declared = replace(declared, variants=fitting)
    if declared.eps is None:
        return known, declared
    contracts = {name: with_eps(contract, declared.eps) for name, contract in known.contracts.items()}
    return replace(known, contracts=contracts), declared
