"""What ``--impl`` names becomes an inspection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from harness.core.errors import UsageError
from harness.core.mistake import KnownMistake, named_mistakes
from harness.core.note import Note
from harness.diagnosis.finding import edits_of
from harness.discovery.importing import imported_anew
from harness.discovery.search import Found, discover
from harness.execution.executor import Executor
from harness.judging.accepted_forms import with_accepted_forms
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.part_forms import with_forms_of_wholes, without_replaced
from harness.judging.reference import reference_executor
from harness.judging.stand_ins import notes_of, with_forms_of_missing
from harness.modules.whole_model import WholeAdapter
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
) -> Inspection:
    """An inspection of what ``--impl`` names. Raises UsageError with a complete text where it cannot be had.

    What is declared in ``variants`` (the command line) goes before what the implementation's own file declares, and
    that before what the project's table does.
    """
    torch.set_num_threads(1)  # the tensors are small: a second thread only waits, and two processes wait for each other
    known, expected = load_catalogue(), dict[str, str]()
    anew: Callable[[], Executor] | None = None
    wide = half_precision(project.table.get(HALF_PRECISION, False), f"{project.file}, [tool.plumbline]")
    in_file = in_project(project, known.contracts)
    given = _given(variants, known)
    if names := named_mistakes(impl):
        mistakes, notes = _mistakes(known, names)
        known, declared = _with(known, merged(known.contracts, given, _under(mistakes, known), in_file))
        edits = (*edits_of_forms(declared.variants, known.contracts), *edits_of(mistakes))
        executor = reference_executor(known.contracts, edits, name=impl, time_limit=time_limit)
        where, wide = "the reference with this mistake", True
    else:
        known, declared, found = _discovered(impl, known, given, in_file, time_limit)
        where, notes, expected = found.where, found.notes, dict(found.expected)
        wide = wide or found.half_precision
        executor, replaced = _executor(found, known, declared, time_limit)
        adapters, anew = executor.adapters, partial(_anew, executor, impl, known, declared)
        declared = with_accepted_forms(declared, found.accepted, known, executor, seed)
        declared = with_forms_of_missing(declared, known.contracts, adapters)
        declared, of_parts = with_forms_of_wholes(declared, known.contracts, adapters)
        notes = (*notes, *notes_of(known.contracts, adapters), *of_parts, *replaced)
    forms, eps = declared.variants, declared.eps
    return Inspection(known, executor, seed, cases, forms, where, notes, None, eps, effort, expected, wide, anew)


def _executor(found: Found, known: Catalogue, declared: Declared, time_limit: float) -> tuple[Executor, list[Note]]:
    """What was found, to be called; and notes of what is judged in the place of something else."""
    adapters, replaced = without_replaced(found.adapters, declared, known.contracts)
    return Executor(found.name, adapters, known.contracts, time_limit=time_limit), replaced


def _anew(before: Executor, impl: str, known: Catalogue, declared: Declared) -> Executor:
    """The implementation again, its own files imported anew. Raises UsageError where it cannot be had again."""
    with imported_anew(adapter.place[0] for adapter in before.adapters.values()):
        found = discover(impl, known.contracts, before.time_limit)
    return _executor(found, known, declared, before.time_limit)[0]


def _discovered(
    impl: str, known: Catalogue, given: Declared, in_file: Declared, time_limit: float
) -> tuple[Catalogue, Declared, Found]:
    """What was found, with the catalogue and the declarations as the implementation's own file makes them."""
    eps = given.eps if given.eps is not None else in_file.eps
    found = discover(impl, _with(known, Declared({}, eps))[0].contracts, time_limit)
    wholes = {name: adapter for name, adapter in found.adapters.items() if isinstance(adapter, WholeAdapter)}
    on_models = {name: adapter.contract_there(known.contracts[name]) for name, adapter in wholes.items()}
    known = replace(known, contracts={**known.contracts, **on_models})
    known, declared = _with(known, merged(known.contracts, given, Declared(found.variants, found.eps), in_file))
    for name, adapter in found.adapters.items():
        if hasattr(adapter, "contract") and (declared.eps != eps or name in on_models):  # not the one it was found with
            adapter.contract = known.contracts[name]
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
