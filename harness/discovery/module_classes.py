"""Module classes with no adapter written for them: which component each is, and what is inside it.

Class names and parameter names propose, shapes decide. What a module computes runs no part, so that a mistake in it is
never mapped away; a run of the whole only shows which of its modules is called with what.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import UsageError, did_you_mean, plain
from harness.discovery.map_file import FILE, MapEntry, names_of
from harness.modules.adapter import ModuleAdapter, telling_cases
from harness.modules.construction import CannotBuild
from harness.modules.found_class import Factory, FoundModule, InsideOnly, PartFactory, assigned, called
from harness.modules.parameter_map import Plan
from harness.modules.submodules import BATCH, TIME, Part, call_in_place, parts_of, told_parts, watched


@dataclass(frozen=True)
class Automatic:
    """What was found among module classes: adapters by component, what a person should know, and classes left over."""

    adapters: Mapping[str, ModuleAdapter | InsideOnly]
    notes: tuple[str, ...] = ()
    unused: tuple[type, ...] = ()


def automatic(
    classes: Sequence[type],
    contracts: Mapping[str, Contract],
    taken: Iterable[str],
    told: Mapping[str, MapEntry] | None = None,
) -> Automatic:
    """Finds components among these classes. ``taken``: components that are found already. ``told``: what a person says.

    Raises UsageError where a person names a class or a place that is not there.
    """
    search = _Search(classes, contracts, set(taken), dict(told or {}))
    search.wholes()
    search.singles()
    search.written_inside()
    used = search.used
    return Automatic(search.adapters, tuple(search.notes), tuple(c for c in classes if c not in used))


class _Search:
    def __init__(
        self, classes: Sequence[type], contracts: Mapping[str, Contract], taken: set[str], told: dict[str, MapEntry]
    ) -> None:
        self.classes, self.contracts, self.told = list(classes), contracts, told
        self.taken = taken | {name for name, said in told.items() if said.skip}
        self.notes: list[str] = [f"{name} is skipped, as {FILE} says" for name, said in told.items() if said.skip]
        self.adapters: dict[str, Any] = {}
        self.used: set[type] = set()
        self.tried: set[str] = set()

    def wholes(self) -> None:
        """What has parts, the largest first; then its parts."""
        composite = [c for c in self.contracts.values() if c.inside and c.is_function and c.classes]
        for contract in sorted(composite, key=lambda c: -c.order):
            if contract.name in self.adapters or contract.name in self.taken:
                continue
            self._single(contract, every=contract is max(composite, key=lambda c: c.order))
            if contract.name in self.adapters:
                self._take_apart(contract)

    def singles(self) -> None:
        """Classes that stand alone, each by its name."""
        for contract in self.contracts.values():
            known = contract.name in self.adapters or contract.name in self.taken or contract.name in self.tried
            if contract.is_function and contract.classes and not known:
                self._single(contract)

    def written_inside(self) -> None:
        """Parts of what was found that are no module of their own."""
        for whole in [a for a in self.adapters.values() if isinstance(a, FoundModule)]:
            names = list(whole.contract.inside) if whole._plan is not None and whole._plan.fine else []
            for name in names:
                names += [n for n in self.contracts[name].inside if n not in names] if name in self.contracts else []
                if name in self.contracts and name not in self.adapters and name not in self.taken:
                    self.adapters[name] = InsideOnly(name, whole)

    def _single(self, contract: Contract, every: bool = False) -> None:
        """The best-named class that can be built and whose parameters fit. ``every``: nameless ones too."""
        self.tried.add(contract.name)
        said = self._said(contract)
        ranked = sorted(self.classes, key=lambda kind: -resemblance(kind, contract))
        if said is not None:
            ranked = [said]
        refused: list[str] = []
        for kind in ranked:
            named = resemblance(kind, contract)
            if said is None and kind in self.used:
                continue  # it is another component already
            if said is None and any(resemblance(kind, other) > named for other in self.contracts.values()):
                continue  # RMSNorm ends in norm, but there is a better name for it
            if not named and not every and said is None:
                continue
            adapter, why = self._tried(kind, contract)
            if adapter is not None:
                self.adapters[contract.name] = adapter
                self.used.add(kind)
                return
            if named or said is not None:
                refused.append(f"the class {kind.__name__} looks like {contract.name}, but {why}")
        self.notes += refused[:1]

    def _said(self, contract: Contract) -> type | None:
        """The class that a person names for a component that is no part of another."""
        told = self.told.get(contract.name)
        if told is None or not told.kind or told.inside:
            return None
        for kind in self.classes:
            if kind.__name__ == told.kind:
                return kind
        names = [kind.__name__ for kind in self.classes]
        hint = did_you_mean(told.kind, names) or f"there are: {', '.join(names)}"
        raise UsageError(f"{FILE}: {contract.name} is said to be the class {told.kind!r}, which is not there; {hint}")

    def _tried(self, kind: type, contract: Contract) -> tuple[FoundModule | None, str]:
        """The class as this component, or why not. What a person says of names counts where it differs from what is found."""
        told = self.told.get(contract.name, MapEntry())
        adapter, why = self._as(kind, contract, told.layout, {})
        known = names_of(adapter._plan) if adapter is not None and adapter._plan is not None else None
        if not told.names or known == dict(told.names):
            return adapter, why
        adapter, why = self._as(kind, contract, told.layout, told.names)
        if adapter is None:
            raise UsageError(f"{FILE}: with the names that it gives for {contract.name}, {why}")
        return adapter, why

    def _as(
        self, kind: type, contract: Contract, layout: str | None, names: Mapping[str, Any]
    ) -> tuple[FoundModule | None, str]:
        declaration = Declaration(contract.name, Factory(kind, contract), None, layout, names, call=called(None))
        adapter = FoundModule(declaration, contract, kind, f"found as the class {kind.__name__}")
        learned = bool(contract.arguments("parameter"))
        why = ""
        for case in telling_cases(contract)[:4]:
            try:
                made = adapter.built(case.arguments)
            except NotSupported as error:  # sizes that it does not take say nothing of the others
                why = why or str(error)
                continue
            except Exception as error:
                why = _why(kind, error)
                if unfinished(error):
                    return adapter, ""  # told as to do when it is run
                continue
            if not learned:
                return (adapter, "") if not any(True for _ in made.inner.parameters()) else (None, "it has parameters")
            plan = adapter._planned(made.inner, case.arguments)
            if plan.fine and plan.matches:
                adapter._probe()
                return adapter, ""
            why = f"its parameters do not fit: {_misfit(plan)}"
        return None, why

    # parts -----------------------------------------------------------------------------------------------------------

    def _take_apart(self, contract: Contract) -> None:
        adapter = self.adapters[contract.name]
        adapter._probe()
        if adapter._plan is None or not adapter._plan.fine:
            return
        case = next((c for c in telling_cases(contract) if _builds(adapter, c)), None)
        if case is None:
            return
        made = adapter.built(case.arguments)
        inputs = _inputs(contract, case)
        # What it raises is told when it is run; what was called before that is seen.
        with watched(made.inner) as seen, contextlib.suppress(Exception):
            made(*inputs.values())
        if not seen:
            return
        factory = adapter.declaration.factory
        parts = parts_of(contract, adapter._plan, made.inner, seen, inputs, self.contracts)
        for part in told_parts(parts, self.told, made.inner, seen):
            if part.component in self.taken or part.component in self.adapters:
                continue
            self.adapters[part.component] = self._part(part, factory, contract)
            self.used.add(part.kind)

    def _part(self, part: Part, whole: Factory, contract: Contract) -> FoundModule:
        ids = next(a for s in contract.calls.values() for a in s.arguments).kind.startswith("int")
        how = call_in_place(part.path, part.swapped, ids) if part.in_place else None
        told = self.told.get(part.component, MapEntry())
        same = not told.names or dict(told.names) == names_of(part.plan)
        how = called(part.rank, how)
        factory = PartFactory(whole, part.path)
        names = {} if same else told.names
        declaration = Declaration(part.component, factory, None, told.layout, names, call=how)
        plan = None if names else part.plan
        theirs = not part.kind.__module__.startswith("torch.")
        source = part.kind if theirs else part.owner
        place = None if theirs else assigned(part.owner, part.path)
        found = f"found inside {whole.__name__}, as its {part.path} ({part.kind.__name__})"
        if part.in_place:
            found += ", and called as it calls it"
        if part.swapped:
            found += ", time before batch"
        return FoundModule(declaration, self.contracts[part.component], source, found, plan, place)


def _builds(adapter: ModuleAdapter, case: Case) -> bool:
    try:
        adapter.built(case.arguments)
    except Exception:
        return False
    return True


def _inputs(contract: Contract, case: Case) -> dict[str, torch.Tensor]:
    """Inputs of a run to watch, with a batch and a time that differ, and ids that are no positions."""
    found: dict[str, torch.Tensor] = {}
    for a in next(iter(contract.calls.values())).arguments:
        value = case.arguments.get(a.name)
        if a.role != "input" or not torch.is_tensor(value):
            continue
        if a.kind.startswith("int"):
            found[a.name] = torch.tensor([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]])[:BATCH, :TIME]
        else:
            generator = torch.Generator().manual_seed(1)
            found[a.name] = torch.randn(BATCH, TIME, value.shape[-1], generator=generator).to(value.dtype)
    return found


def unfinished(error: BaseException) -> bool:
    """Whether something of theirs is still to do."""
    return isinstance(error, NotImplementedError)


def _why(kind: type, error: Exception) -> str:
    if isinstance(error, CannotBuild):
        return f"it cannot be built: {error}"
    return f"building it raised {type(error).__name__}: {error}"


def _misfit(plan: Plan) -> str:
    if plan.problems:
        return plan.problems[0]
    lacking = ", ".join(dict.fromkeys(slot.label for slot in plan.missing))
    beside = ", ".join(t.pattern for t in plan.surplus[:6])
    return "; ".join(
        filter(None, (f"it has no {lacking}" if lacking else "", f"it has {beside} beside" if beside else ""))
    )


def resemblance(kind: type, contract: Contract) -> int:
    """How much a class is named like a component: the length of the longest of its usual names that it ends in."""
    name = plain(kind.__name__).rstrip("0123456789")
    whole = plain(kind.__name__)
    names = (plain(contract.name), *contract.classes)
    return max((len(n) for n in names if name.endswith(n) or whole.endswith(n)), default=0)


__all__ = ["Automatic", "automatic", "resemblance"]
