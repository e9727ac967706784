"""What a person gave to ``--impl`` becomes adapters, one for every component found in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch

from harness.arrays.adapter import declared_frameworks, with_arrays
from harness.core.contract import Argument, Contract
from harness.core.declaration import Declaration
from harness.core.errors import ImportFailed, UsageError, did_you_mean, plain
from harness.core.note import Note, NoteCode
from harness.core.parameters import parameter_names
from harness.discovery import map_file
from harness.discovery.array_classes import array_classes
from harness.discovery.composed import ComposedAdapter, composed
from harness.discovery.folders import modules_of, notes_of
from harness.discovery.implements import declared_in
from harness.discovery.importing import load
from harness.discovery.locate import Place, locate
from harness.discovery.messages import (
    helpers_beside,
    merely_imported,
    near_misses,
    no_component,
    not_this_kind,
    nothing_found,
    plug_in_lines,
)
from harness.discovery.module_classes import find_in_classes
from harness.discovery.notes import FoundNote
from harness.discovery.other_classes import built_by, find_others, without_bases
from harness.discovery.strangers import function_adapter
from harness.discovery.switches import declared_eps, declared_half_precision, declared_variants, switches_of
from harness.discovery.target import Target
from harness.execution.dialects import SpeaksDialect, dialect_of, likenesses
from harness.execution.functions import ClassAdapter, FunctionAdapter, MisfitAdapter, UnwrittenAdapter
from harness.execution.guarded import DEFAULT_SECONDS
from harness.execution.session import Adapter
from harness.modules.adapter import ModuleAdapter
from harness.modules.probing import probe_seconds
from harness.modules.unmapped import UnmappedModule
from harness.modules.whole_model import with_whole_model
from harness.stubs.classes import module_unfinished
from harness.stubs.dependencies import beneath


@dataclass(frozen=True)
class Found:
    """An implementation: how each of its components is called, what it is, and what a person should know of it."""

    name: str
    where: str
    adapters: Mapping[str, Adapter]
    variants: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    eps: float | None = None
    half_precision: bool = False
    """Whether its module declares that it is meant for 16-bit numbers."""
    expected: Mapping[str, str] = field(default_factory=dict)
    """Failures that its module expects, with the reasons it gives."""
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The legal forms that the project accepts whose functions a component is called through; "" for the plain one."""


def discover(
    text: str,
    contracts: Mapping[str, Contract],
    time_limit: float = DEFAULT_SECONDS,
    before_import: Callable[[Place], None] = lambda place: None,
) -> Found:
    """Every component of these contracts that a module, a file or an object offers.

    A component is a function (or a class, where its contract has a ``build``) of its name, defined there or imported
    from a module of the implementation, or a factory decorated with ``@implements``; or it is found in the module
    classes. What is imported from another distribution is none, unless it is assigned to its name. ``time_limit``:
    processor seconds for one case, from which those for an import and for a trial call follow; 0 for none.
    ``before_import``: called with what was located, before any code of it runs.

    Raises UsageError with a complete text where there is nothing to check; ImportFailed, one of these, where the module
    fails while it is imported.
    """
    place = locate(text)
    before_import(place)
    spelled = [dialect.function for contract in contracts.values() for dialect in contract.dialects]
    module, thing = load(place, time_limit, {*contracts, *spelled})
    target = Target(place, module, thing, contracts)
    return _Search(target, contracts, probe_seconds(time_limit)).found()


class _Search:
    """One look through one module or object. ``seconds``: for one trial call."""

    def __init__(self, target: Target, contracts: Mapping[str, Contract], seconds: float) -> None:
        self.target, self.contracts, self.seconds = target, contracts, seconds
        self.notes: list[FoundNote] = []

    def found(self) -> Found:
        """Everything that was found. Raises UsageError where that is nothing."""
        target = self.target
        self.notes += notes_of(target.module)
        factories = self._declared_factories()
        adapters = self._by_factory_or_name(factories)
        variants = declared_variants(target, factories, self.contracts)
        own = [*target.own_classes(), *array_classes(target, self.contracts, adapters)]
        plugged = built_by([a.source for a in adapters.values() if inspect.isclass(a.source)], own)
        if classes := [kind for kind in without_bases(own) if kind not in plugged]:
            adapters = self._in_classes(classes, adapters)
        adapters |= with_whole_model(adapters, self.contracts)
        if not target.is_one_thing():
            self.notes += merely_imported(target, self.contracts, adapters)
            self.notes += near_misses(target, self.contracts, adapters, self.notes)
        if not adapters:
            raise UsageError(nothing_found(target, self.contracts, self.notes))
        frameworks = declared_frameworks(switches_of(target).get("framework", {}), self.contracts, target.text)
        adapters, array_notes = with_arrays(adapters, self.contracts, target.member, frameworks)
        place = target.place
        return Found(
            target.name,
            str(place.path) if place.path else getattr(target.module, "__file__", None) or "",
            adapters,
            variants,
            (*(note.as_note() for note in self.notes), *array_notes),
            declared_eps(target),
            declared_half_precision(target),
            switches_of(target).get("expected", {}),
            {n: a.dialect.accepts for n, a in adapters.items() if isinstance(a, SpeaksDialect) and a.dialect.accepts}
            | {n: a.accepts for n, a in adapters.items() if isinstance(a, ComposedAdapter)},
        )

    def _by_factory_or_name(self, factories: Mapping[str, Declaration]) -> dict[str, Adapter]:
        """What is declared, or has a component's name, or is spelled as a published project does."""
        adapters: dict[str, Adapter] = {}
        for name, contract in self.contracts.items():
            adapter = (
                self._by_factory(factories[name], contract)
                if name in factories
                else dialect_of(contract, self.target.called)
            )
            if adapter is not None:
                adapters[name] = adapter
        entries = [a.dialect for a in adapters.values() if isinstance(a, SpeaksDialect) and a.dialect.entry]
        if entries and not self.target.is_one_thing():
            self.notes += helpers_beside(self.target, entries[0], [n for n in self.contracts if n not in adapters])
            return adapters
        for name, contract in self.contracts.items():
            if name in adapters:
                continue
            adapter = self._by_name(name, contract) or composed(contract, dict(self.target.members()), self.seconds)
            if adapter is not None:
                adapters[name] = adapter
        self._by_likeness(adapters)
        return {name: adapters[name] for name in self.contracts if name in adapters}

    def _by_likeness(self, adapters: dict[str, Adapter]) -> None:
        """Adds what is a component by what it takes and has, whatever its name; notes what is the same one again."""
        things, again = self.target.own_things(), dict[tuple[str, str], list[str]]()
        for name, contract in self.contracts.items():
            if name in adapters or not (alike := likenesses(contract, things)):
                continue
            used = adapters[name] = alike[0]
            for other in dict.fromkeys(a.source for a in alike[1:] if a.source is not used.source):
                again.setdefault((other.__name__, used.source.__name__), []).append(name)
        for (one, used_name), names in again.items():
            text = f"{one} is not checked where it is {' and '.join(names)} too: {used_name} is"
            self.notes.append(FoundNote(f"{text}. To check it: {self.target.text}:{one}"))

    # factories -------------------------------------------------------------------------------------------------------

    def _declared_factories(self) -> dict[str, Declaration]:
        target = self.target
        found = [d for module in modules_of(target.module) for d in declared_in(module.__name__, vars(module))]
        every = list({id(d): d for d in found}.values())
        if target.place.attributes:
            inside = [value for _, value in target.members()]
            every = [d for d in every if d.factory is target.thing or any(d.factory is value for value in inside)]
        by_component: dict[str, Declaration] = {}
        for declaration in every:
            name = declaration.component
            if name not in self.contracts:
                raise UsageError(no_component(target, f'@implements("{name}") above {declaration.label}', name))
            if name in by_component:
                one = f"{target.text.partition(':')[0]}:{getattr(declaration.factory, '__name__', 'build')}"
                raise UsageError(
                    f"{target.text}: two factories say that they build {name}: {by_component[name].label} and "
                    f"{declaration.label}. Keep one, or name the one you mean: {one}"
                )
            by_component[name] = declaration
        return by_component

    def _by_factory(self, declaration: Declaration, contract: Contract) -> Adapter:
        if not contract.is_function:
            return dialect_of(contract, lambda _: declaration.factory) or ClassAdapter(declaration.factory)
        if _takes_arguments_of(declaration.factory, contract):
            return FunctionAdapter(declaration.factory)
        known = [a.name for a in _leaves(contract.arguments("parameter"))]
        for name in declaration.names:
            if name not in known:
                hint = did_you_mean(name, known) or f"there are: {', '.join(known) or 'none'}"
                raise UsageError(
                    f"{self.target.text}: {declaration.label} names a parameter {name!r} that {contract.name} does not "
                    f"have; {hint}"
                )
        return ModuleAdapter(declaration, contract, self.seconds)

    def _by_name(self, name: str, contract: Contract) -> Adapter | None:
        thing = self.target.called(name)
        if isinstance(thing, ModuleType):  # a package with one file per component
            thing = getattr(thing, name, None)
        if thing is None:
            return None
        if not contract.is_function:
            if callable(thing):
                return ClassAdapter(thing)
        elif isinstance(thing, torch.nn.Module):
            if not any(True for _ in thing.parameters()):
                return ModuleAdapter(Declaration(name, lambda config: thing), contract, self.seconds)
        elif callable(thing) and not inspect.isclass(thing):
            return function_adapter(thing, contract, self.seconds)
        self.notes.append(not_this_kind(name, thing, contract))
        return None

    # module classes --------------------------------------------------------------------------------------------------

    def _in_classes(self, classes: list[type], adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
        """With the components that are found in module classes, and those that are named like one and to do."""
        place = self.target.place
        declared = map_file.read(map_file.map_folder(place), place.name, self.contracts)
        # A class goes before a function of its component's name that is another component already.
        composed_of = [adapter.source for adapter in adapters.values() if isinstance(adapter, ComposedAdapter)]
        fitting = {n: a for n, a in adapters.items() if isinstance(a, ComposedAdapter) or a.source not in composed_of}
        search = find_in_classes(classes, self.contracts, fitting, declared, self.seconds)
        everything = {**adapters, **search.adapters, **fitting}
        others = find_others(classes, everything, self.contracts, self.target.text, self.seconds)
        everything = {**others.adapters, **everything}
        ordered: dict[str, Adapter] = {name: everything[name] for name in self.contracts if name in everything}
        self.notes = [note for note in self.notes if note.component not in search.adapters]
        self.notes += [*search.notes, *others.notes]
        if search.adapters:
            names = ", ".join(name for name in self.contracts if name in search.adapters)
            how = f"`plumbline doctor {place.text}` shows how, and where to correct it"
            text = f"found in the module classes, without a declaration: {names}; {how}"
            self.notes.append(FoundNote(text, NoteCode.FOUND_IN_CLASSES))
        unwritten = self._unwritten(classes, ordered)
        return ordered | unwritten | self._misfits(search.notes, {**ordered, **unwritten})

    def _unwritten(self, classes: Iterable[type], adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
        """Module classes that are named like a component and are to do, or wait for one that is."""
        found: dict[str, Adapter] = {}
        for kind in classes:
            name = next((n for n, c in self.contracts.items() if plain(kind.__name__) in (*c.classes, plain(n))), None)
            why = module_unfinished(kind, init=True) or beneath(kind, modules=True)
            if name is not None and name not in adapters and name not in found and why:
                found[name] = UnwrittenAdapter(kind, why)
                self.notes = [note for note in self.notes if note.kind is not kind]
        return found

    def _misfits(self, notes: Iterable[FoundNote], adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
        """Module classes that are named like a component which is not there, and that could not be plugged in.

        None where nothing else is there: then there is nothing to check.
        """
        taken = {adapter.source for adapter in adapters.values()}
        found: dict[str, Adapter] = {}
        named = [(note.kind, note) for note in notes if note.kind is not None and note.component in self.contracts]
        ranked = sorted(named, key=lambda one: list(self.contracts).index(one[1].component))
        for kind, note in ranked if adapters else ():
            if kind not in taken and note.component not in adapters and note.component not in found:
                contract = self.contracts[note.component]
                as_built = UnmappedModule(kind, contract, self.seconds)
                found[note.component] = MisfitAdapter(kind, note.text, plug_in_lines(contract, kind), as_built)
                taken.add(kind)
        return found


def _takes_arguments_of(factory: Callable[..., Any], contract: Contract) -> bool:
    """Whether what is decorated is the component itself, under another name, rather than something that builds it.

    It may lack what is optional.
    """
    if inspect.isclass(factory):
        return False
    names = parameter_names(factory)
    every = [a for signature in contract.calls.values() for a in signature.arguments]
    wanted = [a.name for a in every if not a.optional or a.name in names]
    return bool(wanted) and names[: len(wanted)] == wanted and names[:1] != ["config"]


def _leaves(arguments: Iterable[Argument]) -> list[Argument]:
    return [leaf for a in arguments for leaf in (_leaves(a.fields) if a.fields else [a])]


__all__ = ["Found", "ImportFailed", "UsageError", "discover"]
