"""Module classes with no adapter written for them: which component each is, how it is built, and what is inside it.

Class names and parameter names propose, shapes decide. What a module computes plays no part, so that a mistake in it is
never mapped away; a run of the whole only shows which of its modules is called with what.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from harness.adapters.apart import BATCH, TIME, WHOLE, Part, call_in_place, parts_of, watched
from harness.adapters.constructors import CannotBuild, Sizes, construct, global_sizes, globals_set
from harness.adapters.implements import Declaration
from harness.adapters.mapping import Plan
from harness.adapters.modules import ROOM, ModuleAdapter, telling_cases
from harness.adapters.players import Watched
from harness.adapters.wrong_use import plain
from harness.core.case import Case, Settings
from harness.core.claim import NotOffered
from harness.core.contract import Contract

GLOBALS = "_plumbline_globals"
LEAST = 0.6
"""Of the tensors that a component must have, the share that a class must have to be taken for it."""
MOST_SURPLUS = 3
"""Parameters that a class may have beside, which are left as they were built."""
SMALL = {"width": 4, "heads": 1, "layers": 1, "vocab_size": 7, "context": ROOM, "eps": 1e-5}
"""Sizes of a whole that is built for the sake of one part, where the part does not say."""


class Factory:
    """Builds a class of theirs at the sizes of a case, by the names that its constructor uses."""

    def __init__(self, kind: type, contract: Contract) -> None:
        self.kind, self.contract = kind, contract
        self.__name__ = kind.__name__
        self.__module__ = kind.__module__

    def __call__(self, config: Settings) -> nn.Module:
        known = config.known() if isinstance(config, Watched) else config.as_dict()
        read = config.read.update if isinstance(config, Watched) else (lambda _: None)
        values, comes_from = sizes_for(known)
        sizes = Sizes(values, self.contract.size_names, lambda size: read(comes_from.get(size, (size,))))
        namespace = vars(sys.modules[self.kind.__module__])
        names = global_sizes(self.kind, sizes)
        given = {name: sizes.value(name, names) for name in names}
        with globals_set(self.kind.__module__, given):
            made: nn.Module = construct(self.kind, sizes, namespace)
        if given:
            made.__dict__[GLOBALS] = (self.kind.__module__, given)
        return made


def sizes_for(known: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """All sizes that a constructor may ask for, and which settings of the case each comes from."""
    values = {**SMALL, **{name: known[name] for name in SMALL if known.get(name) is not None}}
    values["heads"] = known.get("heads", known.get("n_heads", values["heads"]))
    values["eps"] = known.get("eps", known.get("norm_eps", values["eps"]))
    values["hidden"] = known.get("hidden", 4 * values["width"])
    values["head_size"] = max(values["width"] // values["heads"], 1)
    comes_from = {"heads": ("heads", "n_heads"), "eps": ("eps", "norm_eps"), "head_size": ("width", "heads", "n_heads")}
    if values["hidden"] % values["width"] == 0:
        values["ratio"] = values["hidden"] // values["width"]
        comes_from["ratio"] = ("hidden", "width")
    else:
        values["ratio"] = 4
        comes_from["ratio"] = ()
    return values, comes_from


class PartFactory:
    """Builds the whole and hands out one module inside it."""

    def __init__(self, whole: Factory, path: str) -> None:
        self.whole, self.path = whole, path
        self.__name__ = f"{whole.__name__}(...).{path}"
        self.__module__ = whole.__module__

    def __call__(self, config: Settings) -> nn.Module:
        model = self.whole(config)
        part = model.get_submodule(self.path)
        part.__dict__[WHOLE] = [model]
        if GLOBALS in model.__dict__:
            part.__dict__[GLOBALS] = model.__dict__[GLOBALS]
        return part


class FoundModule(ModuleAdapter):
    """A module class, or a module inside one, that was found rather than declared.

    ``found``: in words, where. A class may lack a few tensors of the contract, or have a few more: then it is judged as
    it is, and a note says so.
    """

    def __init__(
        self,
        declaration: Declaration,
        contract: Contract,
        kind: type,
        found: str,
        plan: Plan | None = None,
        place: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(declaration, contract)
        self.source, self.found = kind, found
        self.place = place or location(kind)
        self._remarks.append(found)
        if plan is not None:
            self._plan, self._probed = plan, True

    def _planned(self, module: nn.Module, arguments: Mapping[str, Any]) -> Plan:
        return judged_as_it_is(super()._planned(module, arguments))


def judged_as_it_is(plan: Plan) -> Plan:
    """The plan of a module that is nearly the component: what it lacks and what it has beside is noted."""
    if plan.fine or plan.problems or plan.unplaced:
        return plan
    ours = {m.slot.path for m in plan.matches if not m.slot.optional}
    lacking = list(dict.fromkeys(slot.label for slot in plan.missing))
    share = len(ours) / max(len(ours) + len(lacking), 1)
    if share < LEAST or len(plan.surplus) > MOST_SURPLUS or (lacking and plan.surplus):
        return plan
    notes = [f"it has no {', '.join(lacking)}, which {plan.contract} has; judged as it is"] if lacking else []
    if plan.surplus:
        beside = ", ".join(t.pattern for t in plan.surplus)
        notes.append(f"it has {beside}, which {plan.contract} does not have; biases are set to zero, others as built")
    kept = tuple(name for t in plan.surplus for name in t.names)
    return replace(plan, missing=(), surplus=(), kept=kept, lacking=plan.missing, notes=(*plan.notes, *notes))


def called(rank: int | None, inner: Any = None) -> Any:
    """How a module that was found is called: with the sizes that are globals set, and no other rank asked of it."""

    def call(module: nn.Module, *inputs: Any, **options: Any) -> Any:
        home, values = module.__dict__.get(GLOBALS, ("", {}))
        with globals_set(home, values):
            try:
                return module(*inputs, **options) if inner is None else inner(module, *inputs, **options)
            except NotOffered:
                raise
            except Exception as error:
                if rank is not None and torch.is_tensor(inputs[0]) and inputs[0].dim() != rank:
                    raise NotOffered(f"it takes {rank} axes alone ({type(error).__name__})") from error
                raise

    return call


@dataclass(frozen=True)
class Automatic:
    """What was found among module classes: adapters by component, what a person should know, and classes left over."""

    adapters: Mapping[str, ModuleAdapter]
    notes: tuple[str, ...] = ()
    unused: tuple[type, ...] = ()


def automatic(classes: Sequence[type], contracts: Mapping[str, Contract], taken: Iterable[str]) -> Automatic:
    """Finds components among these classes. ``taken``: components that are found already."""
    search = _Search(classes, contracts, set(taken))
    search.wholes()
    search.singles()
    used = search.used
    return Automatic(search.adapters, tuple(search.notes), tuple(c for c in classes if c not in used))


class _Search:
    def __init__(self, classes: Sequence[type], contracts: Mapping[str, Contract], taken: set[str]) -> None:
        self.classes, self.contracts, self.taken = list(classes), contracts, taken
        self.adapters: dict[str, ModuleAdapter] = {}
        self.notes: list[str] = []
        self.used: set[type] = set()

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
            known = contract.name in self.adapters or contract.name in self.taken
            if contract.is_function and contract.classes and not known:
                self._single(contract)

    def _single(self, contract: Contract, every: bool = False) -> None:
        """The best-named class that can be built and whose parameters fit. ``every``: nameless ones too."""
        ranked = sorted(self.classes, key=lambda kind: -resemblance(kind, contract))
        refused: list[str] = []
        for kind in ranked:
            named = resemblance(kind, contract)
            if not named and (not every or any(resemblance(kind, c) for c in self.contracts.values())):
                continue
            adapter, why = self._tried(kind, contract)
            if adapter is not None:
                self.adapters[contract.name] = adapter
                self.used.add(kind)
                return
            if named:
                refused.append(f"the class {kind.__name__} looks like {contract.name}, but {why}")
        self.notes += refused[:1]

    def _tried(self, kind: type, contract: Contract) -> tuple[FoundModule | None, str]:
        factory = Factory(kind, contract)
        declaration = Declaration(contract.name, factory, call=called(None))
        adapter = FoundModule(declaration, contract, kind, f"found as the class {kind.__name__}")
        learned = bool(contract.arguments("parameter"))
        why = ""
        for case in telling_cases(contract)[:4]:
            try:
                made = adapter.built(case.arguments)
            except Exception as error:
                why = _why(kind, error)
                if unfinished(error):
                    return adapter, ""  # told as to do when it is played
                continue
            if not learned:
                return (adapter, "") if not any(True for _ in made.inner.parameters()) else (None, "it has parameters")
            plan = adapter._planned(made.inner, case.arguments)
            if plan.fine and plan.matches:
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
        with watched(made.inner) as seen:
            try:
                made(*inputs.values())
            except Exception:  # told when it is played; what was called before is seen
                pass
        if not seen:
            return
        factory = adapter.declaration.factory
        for part in parts_of(contract, adapter._plan, made.inner, seen, inputs, self.contracts):
            if part.component in self.taken or part.component in self.adapters:
                continue
            self.adapters[part.component] = self._part(part, factory, contract)
            self.used.add(part.kind)

    def _part(self, part: Part, whole: Factory, contract: Contract) -> FoundModule:
        ids = next(a for s in contract.calls.values() for a in s.arguments).kind.startswith("int")
        how = call_in_place(part.path, part.swapped, ids) if part.in_place else None
        declaration = Declaration(part.component, PartFactory(whole, part.path), call=called(part.rank, how))
        theirs = not part.kind.__module__.startswith("torch.")
        source = part.kind if theirs else part.owner
        place = None if theirs else assigned(part.owner, part.path)
        found = f"found inside {whole.__name__}, as its {part.path} ({part.kind.__name__})"
        if part.in_place:
            found += ", and called as it calls it"
        if part.swapped:
            found += ", time before batch"
        return FoundModule(declaration, self.contracts[part.component], source, found, part.plan, place)


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
    return "; ".join(filter(None, (f"it has no {lacking}" if lacking else "", f"it has {beside} beside" if beside else "")))


def resemblance(kind: type, contract: Contract) -> int:
    """How much a class is named like a component: the length of the longest of its usual names that it ends in."""
    name = plain(kind.__name__).rstrip("0123456789")
    whole = plain(kind.__name__)
    names = (plain(contract.name), *contract.classes)
    return max((len(n) for n in names if name.endswith(n) or whole.endswith(n)), default=0)


def location(kind: type) -> tuple[str, int]:
    """File and line of a class; nothing where there is no source."""
    try:
        return inspect.getsourcefile(kind) or "", inspect.getsourcelines(kind)[1]
    except (TypeError, OSError):
        return "", 0


def assigned(owner: type, path: str) -> tuple[str, int]:
    """Where a class makes the module at this path: the line of ``self.NAME = ...``, or of the class itself."""
    file, start = location(owner)
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getsourcelines(owner)[0])))
    except (TypeError, OSError, SyntaxError):
        return file, start
    for name in reversed([step for step in path.split(".") if not step.isdigit()]):
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Attribute) and t.attr == name for t in targets):
                return file, start + node.lineno - 1
            if isinstance(node, ast.keyword) and node.arg == name:
                return file, start + node.value.lineno - 1
            if isinstance(node, ast.Dict):
                for key in node.keys:
                    if isinstance(key, ast.Constant) and key.value == name:
                        return file, start + key.lineno - 1
    return file, start


__all__ = ["Automatic", "FoundModule", "Factory", "automatic", "resemblance"]
