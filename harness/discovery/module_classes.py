"""Module classes with no adapter written for them: which component each is, and which parts it holds.

Class names and parameter names propose, shapes decide. What a module computes has no say, so that a mistake in it is
never mapped away; one run of a model only shows which of its modules is called with what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import UsageError, did_you_mean
from harness.core.note import NoteCode
from harness.discovery.class_trial import ClassTrial, Refused
from harness.discovery.map_file import FILE, MapEntry, names_of
from harness.discovery.model_run import run_once
from harness.discovery.notes import FoundNote
from harness.discovery.resemblance import resemblance, takes_sizes_of_a_whole
from harness.modules.call_in_place import CallInPlace
from harness.modules.class_location import assignment_of
from harness.modules.disambiguation import gives_the_reference
from harness.modules.found_class import CallFound, Factory, FoundModule, InsideOnly, PartFactory
from harness.modules.probing import PROBE_SECONDS
from harness.modules.submodules import Part, declared_parts, parts_of, parts_within


@dataclass(frozen=True)
class FoundClasses:
    """What was found among module classes: adapters by component, and what a person should know."""

    adapters: Mapping[str, FoundModule | InsideOnly]
    notes: tuple[FoundNote, ...] = ()


def find_in_classes(
    classes: Sequence[type],
    contracts: Mapping[str, Contract],
    taken: Iterable[str],
    declared: Mapping[str, MapEntry] | None = None,
    seconds: float = PROBE_SECONDS,
) -> FoundClasses:
    """The components among these classes.

    ``taken``: components that are found already. ``declared``: what plumbline.map.toml says. ``seconds``: processor
    seconds for one trial call. Raises UsageError where the file names a class or a place that is not there.
    """
    search = _ClassSearch(classes, contracts, taken, declared or {}, seconds)
    search.find_models()
    search.note_unnamed_models()
    search.find_single_classes()
    search.find_inside_only()
    return FoundClasses(search.adapters, tuple(note for note in search.notes if not search.is_found(note.kind)))


class _ClassSearch:
    """One look through the module classes of an implementation. Each step adds to ``adapters`` and ``notes``."""

    def __init__(
        self,
        classes: Sequence[type],
        contracts: Mapping[str, Contract],
        taken: Iterable[str],
        declared: Mapping[str, MapEntry],
        seconds: float,
    ) -> None:
        self.classes, self.contracts, self.declared, self.seconds = list(classes), contracts, declared, seconds
        skipped = [name for name, entry in declared.items() if entry.skip]
        self.taken = {*taken, *skipped}
        self.notes = [FoundNote(f"{name} is skipped, as {FILE} says", NoteCode.SKIPPED, name) for name in skipped]
        self.adapters: dict[str, FoundModule | InsideOnly] = {}
        self.used: set[type] = set()
        self.tried: set[str] = set()
        self.trial = ClassTrial(contracts.values(), seconds)
        self.unnamed: dict[type, dict[str, str]] = {}
        """Classes that are named like no whole model and were tried as one: why they are none, by component."""
        self.wholes: set[str] = set()
        """Components that are no part of another."""

    def find_models(self) -> None:
        """Components that have parts, the largest first; then their parts."""
        composite = [c for c in self.contracts.values() if c.inside and c.is_function and c.classes]
        parts = {name for c in composite for name in c.inside}
        self.wholes = {c.name for c in composite} - parts
        for contract in sorted(composite, key=lambda c: -c.order):
            if contract.name in self.adapters or contract.name in self.taken:
                continue
            found = self._find_class(contract, nameless=contract.name in self.wholes)
            if found is not None:
                self._find_parts(found, contract)

    def find_single_classes(self) -> None:
        """Classes that are one component, each by its name."""
        for contract in sorted(self.contracts.values(), key=lambda c: not c.told_by):
            known = contract.name in self.adapters or contract.name in self.taken or contract.name in self.tried
            if contract.is_function and contract.classes and not known:
                self._find_class(contract)

    def note_unnamed_models(self) -> None:
        """Say which classes are built like a whole model, and are none that is known: nothing else would."""
        if not self.wholes.isdisjoint({*self.adapters, *self.taken}):
            return
        for kind, reasons in self.unnamed.items():
            if kind not in self.used:
                whys = "; ".join(f"as {component}, {reason}" for component, reason in reasons.items())
                how = f'Say which parameter is which: @implements("{next(iter(reasons))}", names={{...}})'
                text = f"the class {kind.__name__} is built like a whole model, and is not checked: {whys}. {how}"
                self.notes.append(FoundNote(f"{text} above def build(config): return {kind.__name__}(...)", kind=kind))

    def find_inside_only(self) -> None:
        """Parts of what was found that are no module of their own."""
        for whole in [a for a in self.adapters.values() if isinstance(a, FoundModule)]:
            if whole.plan is not None and whole.plan.fine:
                for name in parts_within(whole.contract, whole.plan, self.contracts):
                    if name not in self.adapters and name not in self.taken:
                        self.adapters[name] = InsideOnly(name, whole)

    def is_found(self, kind: type | None) -> bool:
        """Whether a class is a component, or named like one that there is, though it was refused as another."""
        if kind is None or kind in self.used:
            return kind is not None
        best = max((resemblance(kind, c) for c in self.contracts.values()), default=0)
        there = {*self.adapters, *self.taken} & self.contracts.keys()
        return any(best and resemblance(kind, self.contracts[name]) == best for name in there)

    # one class -------------------------------------------------------------------------------------------------------

    def _find_class(self, contract: Contract, nameless: bool = False) -> FoundModule | None:
        """The best-named class that can be built and whose parameters fit. ``nameless``: classes of any name too."""
        self.tried.add(contract.name)
        declared = self._declared_class(contract)
        candidates = self._candidates(contract, nameless) if declared is None else [declared]
        refused: list[FoundNote] = []
        for kind in candidates:
            try:
                adapter = self._tried(kind, contract)
            except Refused as reason:
                if declared is not None or resemblance(kind, contract):
                    text = f"the class {kind.__name__} looks like {contract.name}, but {reason}"
                    refused.append(FoundNote(text, component=contract.name, kind=kind))
                elif takes_sizes_of_a_whole(kind, contract):
                    self.unnamed.setdefault(kind, {})[contract.name] = str(reason)
                continue
            if declared is None and self._fits_another_better(kind, contract, adapter):
                continue
            self.adapters[contract.name] = adapter
            self.used.add(kind)
            return adapter
        self.notes += refused[:1]
        return None

    def _fits_another_better(self, kind: type, contract: Contract, adapter: FoundModule) -> bool:
        """Whether another component, that the name speaks for as much, is the better one for this class."""
        named = resemblance(kind, contract)
        for other in self.contracts.values():
            is_free = other.name not in self.adapters and other.name not in self.taken and other is not contract
            alike = bool(named) and resemblance(kind, other) == named and bool(other.inside) == bool(contract.inside)
            if not is_free or not alike or not other.is_function:
                continue
            try:
                if _is_better(self._tried(kind, other), adapter):
                    return True
            except Refused:
                continue
        return False

    def _candidates(self, contract: Contract, nameless: bool) -> list[type]:
        """Classes that may be this component, the best-named first; not those that have a better name for another."""

        def has_better_name(kind: type) -> bool:  # RMSNorm ends in norm, but there is a component of that name
            own = resemblance(kind, contract)
            return any(resemblance(kind, other) > own for other in self.contracts.values())

        ranked = sorted(self.classes, key=lambda kind: -resemblance(kind, contract))
        free = [kind for kind in ranked if kind not in self.used and not has_better_name(kind)]
        return free if nameless else [kind for kind in free if resemblance(kind, contract)]

    def _declared_class(self, contract: Contract) -> type | None:
        """The class that a person names for a component that is no part of another."""
        entry = self.declared.get(contract.name)
        if entry is None or not entry.kind or entry.inside:
            return None
        for kind in self.classes:
            if kind.__name__ == entry.kind:
                return kind
        names = [kind.__name__ for kind in self.classes]
        hint = did_you_mean(entry.kind, names) or f"there are: {', '.join(names)}"
        raise UsageError(
            f"{FILE}: {contract.name} is declared to be the class {entry.kind!r}, which is not there; {hint}"
        )

    def _tried(self, kind: type, contract: Contract) -> FoundModule:
        """The class as this component. What a person declares of names counts where it differs from what is found."""
        entry = self.declared.get(contract.name, MapEntry())
        try:
            adapter = self.trial.of(kind, contract, entry.layout, {})
            known = names_of(adapter.plan) if adapter.plan is not None else None
            if not entry.names or known == dict(entry.names):
                return adapter
        except Refused:
            if not entry.names:
                raise
        try:
            return self.trial.of(kind, contract, entry.layout, entry.names)
        except Refused as reason:
            raise UsageError(f"{FILE}: with the names that it gives for {contract.name}, {reason}") from None

    # parts -----------------------------------------------------------------------------------------------------------

    def _find_parts(self, adapter: FoundModule, contract: Contract) -> None:
        """The modules inside a model that are components, seen in one run of it."""
        adapter.probe()
        if adapter.plan is None or not adapter.plan.fine:
            return
        model = run_once(adapter, self.seconds)
        if model is None or not model.calls:
            return
        parts = parts_of(contract, adapter.plan, model, self.contracts)
        factory = adapter.declaration.factory
        assert isinstance(factory, Factory)
        for part in declared_parts(parts, self.declared, model):
            if part.component not in self.taken and part.component not in self.adapters:
                self.adapters[part.component] = self._part(part, factory, adapter)
                self.used.add(part.kind)

    def _part(self, part: Part, whole: Factory, model: FoundModule) -> FoundModule:
        ids = next(a for s in model.contract.calls.values() for a in s.arguments).holds_integers
        in_place = CallInPlace(part.path, part.swapped, ids, model.declaration.call) if part.in_place else None
        how = CallFound(part.rank, in_place)
        entry = self.declared.get(part.component, MapEntry())
        as_found = not entry.names or dict(entry.names) == names_of(part.plan)
        names = {} if as_found else entry.names
        factory = PartFactory(whole, part.path)
        declaration = Declaration(part.component, factory, None, entry.layout, names, call=how)
        own_class = not part.kind.__module__.startswith("torch.")
        source = part.kind if own_class else part.owner
        place = None if own_class else assignment_of(part.owner, part.path)
        found = f"found inside {whole.__name__}, as its {part.path} ({part.kind.__name__})"
        if part.in_place:
            found += ", and called as it calls it"
        if part.swapped:
            found += ", time before batch"
        known = part.plan if as_found else None
        part_contract = self.contracts[part.component]
        adapter = FoundModule(declaration, part_contract, source, found, known, place, self.seconds)
        adapter.within = model.contract.name
        return adapter


def _is_better(other: FoundModule, one: FoundModule) -> bool:
    """Whether a class is rather the other component: more of its parameters are known, its result is the reference's,
    or it does without none of the tensors where both take the same sizes.

    A block of layer norms is one of RMS norms once its biases are switched off. A ``Norm`` without a bias is either.
    """
    if one.plan is None or other.plan is None:
        return False
    more = len(other.plan.matches) - len(one.plan.matches)
    if more or one.contract.inside:
        return more > 0
    right, rather_right = gives_the_reference(one), gives_the_reference(other)
    if right != rather_right:
        return rather_right
    takes_the_same = set(one.contract.size_names) <= set(other.contract.size_names)
    return takes_the_same and bool(one.plan.absent) and not other.plan.absent


__all__ = ["FoundClasses", "find_in_classes", "resemblance"]
