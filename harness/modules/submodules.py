"""The parts of a model that are modules of their own: which of them is which part, and how it is called.

The matched parameters show which module owns them, one run of the model shows what each module is given. So a part
needs no adapter: it is built by building the model, and where it takes more than its input, the model calls it, see
:mod:`harness.modules.call_in_place`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import nn

from harness.core.contract import Argument, Contract
from harness.core.errors import UsageError, did_you_mean
from harness.modules.expected_parameters import LAYER
from harness.modules.first_calls import BATCH, TIME, FirstCalls
from harness.modules.parameter_map import Match, Plan


@dataclass(frozen=True)
class Part:
    """One part of a model: where it is, its parameters matched, and how it is called.

    ``kind``: its class; ``owner``: the class of the implementation that makes it. ``in_place``: the model has to call
    it; ``swapped``: it is given time before batch. ``rank``: how many axes its input has.
    """

    component: str
    path: str
    plan: Plan
    kind: type
    owner: type
    in_place: bool = False
    swapped: bool = False
    rank: int | None = None


class Model(NamedTuple):
    """A model that was run once. ``inputs``: what it was given, by the names of its contract."""

    module: nn.Module
    calls: FirstCalls
    inputs: Mapping[str, torch.Tensor]


class Declared(Protocol):
    """What a person says of a part in plumbline.map.toml."""

    @property
    def inside(self) -> str:
        """Its path in the model; empty where nothing is said."""

    @property
    def names(self) -> Mapping[str, object]:
        """Which of its parameters is which."""


def parts_of(contract: Contract, plan: Plan, model: Model, contracts: Mapping[str, Contract]) -> list[Part]:
    """Every part of a matched model that is a module of its own, parts of parts too, the first of each component."""
    search = _PartSearch(model, contracts)
    search.look(contract, plan, "")
    return list(search.found.values())


def parts_present(contract: Contract, plan: Plan, contracts: Mapping[str, Contract]) -> dict[str, Mapping[str, str]]:
    """The parts that a matched model has, each with its tensors' names there.

    Not a part that needs a tensor which the model does without (a gate), and not one whose tensors are some of those of
    another part that is there (a layer without a gate).
    """
    there: dict[str, Mapping[str, str]] = {}
    for name, renamed in contract.inside.items():
        if name in contracts:
            required = {a.name for a in contracts[name].arguments("parameter") if not a.optional}
            if not any(here in plan.absent for part_name, here in renamed.items() if part_name in required):
                there[name] = renamed
    tensors = {name: set(renamed.values()) for name, renamed in there.items()}
    return {
        name: renamed
        for name, renamed in there.items()
        if not renamed or not any(tensors[name] < others for others in tensors.values())
    }


def parts_within(contract: Contract, plan: Plan, contracts: Mapping[str, Contract]) -> list[str]:
    """The names of all parts that a matched model has, and of the parts of those."""
    names = list(parts_present(contract, plan, contracts))
    for name in names:
        names += [inner for inner in parts_present(contracts[name], plan, contracts) if inner not in names]
    return names


def declared_parts(parts: Sequence[Part], declared: Mapping[str, Declared], model: Model) -> list[Part]:
    """The parts, each where a person says that it is; and those that only a person knows of.

    ``declared``: component -> what is said of it. Raises UsageError where no module is called there, or where its names
    are needed.
    """
    found = {part.component: part for part in parts}
    for name, said in declared.items():
        if not said.inside or (name in found and found[name].path == said.inside):
            continue
        where = f"plumbline.map.toml: {name} is declared to be {said.inside!r}"
        if said.inside not in model.calls:
            called = ", ".join(list(model.calls)[:12])
            hint = did_you_mean(said.inside, model.calls, 0.5) or f"the model calls: {called}"
            raise UsageError(f"{where}, but the model calls no module of that name; {hint}")
        parameters = [n for n, _ in model.module.get_submodule(said.inside).named_parameters()]
        if parameters and not said.names:
            raise UsageError(f"{where}; declare its names too ({', '.join(parameters[:6])})")
        found[name] = _part(name, said.inside, Plan(contract=name), model)
    return list(found.values())


class _PartSearch:
    """Walk from a model to its parts, and on to the parts of those."""

    def __init__(self, model: Model, contracts: Mapping[str, Contract]) -> None:
        self.model, self.contracts = model, contracts
        self.found: dict[str, Part] = {}

    def look(self, contract: Contract, plan: Plan, scope: str) -> None:
        """``plan``: of ``contract``, in names of the whole model; ``scope``: the path of its module."""
        for name, renamed in parts_present(contract, plan, self.contracts).items():
            part_contract = self.contracts[name]
            if not renamed:
                path = _activation(scope, self.model)
                if path is not None:
                    self._add(name, path, Plan(contract=name))
                continue
            matches, absent = _of_part(plan, renamed)
            optional = [a.name for a in part_contract.arguments("parameter") if a.optional and not a.fields]
            absent += tuple(name for name in optional if name not in renamed)  # the whole has no place for it
            if matches:
                self._look_at_part(name, part_contract, Plan(matches=matches, absent=absent, contract=name), scope)

    def _look_at_part(self, name: str, contract: Contract, plan: Plan, scope: str) -> None:
        path = _owner(plan.matches, contract, self.model)
        path = _outermost(path, scope, self.model) if path else path
        within = path if path is not None else _common([_home(m) for m in plan.matches])
        prefix = f"{within}."
        inside = [m for m in plan.matches if any(n.startswith(prefix) for n in (m.found.names[0], *m.found.others))]
        if path and path != scope:
            self._add(name, path, replace(plan, matches=[_local(m, within) for m in inside]))
        if contract.inside:
            self.look(contract, plan, within)  # the plan stays in names of the whole model

    def _add(self, name: str, path: str, plan: Plan) -> None:
        if name not in self.found:
            self.found[name] = _part(name, path, plan, self.model)


def _of_part(plan: Plan, renamed: Mapping[str, str]) -> tuple[list[Match], tuple[str, ...]]:
    """The matches of the tensors that a part has, under the part's names, and the optional ones it does without."""
    matches: list[Match] = []
    for match in plan.matches:
        path = match.expected.path
        if match.expected.joined and not any(here in path[:-1] for here in renamed.values()):
            back = {here: part_name for part_name, here in renamed.items()}
            joined = tuple(back[name] for name in match.expected.joined if name in back)
            if len(joined) == len(match.expected.joined):
                one = replace(match.expected, path=(" + ".join(joined),), layered=False, joined=joined)
                matches.append(replace(match, expected=one))
            continue
        for part_name, here in renamed.items():
            if here in path[:-1]:  # a list of records: the part is one of them
                name: tuple[str, ...] = (part_name, path[-1])
            elif path[-1] == here:
                name = (part_name,)
            else:
                continue
            matches.append(replace(match, expected=replace(match.expected, path=name, layered=False)))
    listed = any(here in m.expected.path[:-1] for m in plan.matches for here in renamed.values())
    back = {here: part_name for part_name, here in renamed.items()}
    absent = tuple(plan.absent) if listed else tuple(back[name] for name in plan.absent if name in back)
    return matches, absent


def _owner(matches: Sequence[Match], contract: Contract, model: Model) -> str | None:
    """The module that holds all these parameters and is called with what such a part takes."""
    wanted = next(a for s in contract.calls.values() for a in s.arguments if a.role == "input")
    if len({m.expected.path for m in matches}) == 1 and matches[0].expected.part is None:
        names = [name for m in matches for name in (m.found.names[0], *m.found.others)]
        candidates = [name.rpartition(".")[0] for name in names]
    else:
        candidates = [_common([_home(m) for m in matches])]
    return next((path for path in candidates if path and _is_given(wanted, path, model)), None)


def _outermost(path: str, scope: str, model: Model) -> str:
    """A class around the part that adds nothing to learn is the part: FeedForward, not the Sequential in it."""
    inner = {id(p) for p in model.module.get_submodule(path).parameters()}
    outer = path.rpartition(".")[0]
    while outer and outer != scope and outer.startswith(scope):
        around, call = model.module.get_submodule(outer), model.calls.get(outer)
        same = {id(p) for p in around.parameters()} == inner
        if not same or call is None or call.first is None or not torch.is_tensor(call.output):
            break
        if not _is_torchs(type(around)):
            path = outer
        outer = outer.rpartition(".")[0]
    return path


def _is_given(wanted: Argument, path: str, model: Model) -> bool:
    """Whether a module is called with what the argument stands for: ids, or numbers."""
    call = model.calls.get(path)
    first = call.first if call is not None else None
    if first is None:
        return False
    if not wanted.holds_integers:
        return first.is_floating_point()
    if first.is_floating_point():
        return False
    # Positions are not ids: a table that is given the ids, and looks at their number alone, is no such part.
    given = [v for v in model.inputs.values() if v.shape == first.shape and torch.equal(v, first)]
    return bool(given) == (wanted.name in model.inputs)


def _activation(scope: str, model: Model) -> str | None:
    """The one kind of module without parameters in this scope that changes its input, but not its shape."""
    changing = []
    for path, call in model.calls.items():
        inside = not scope or path.startswith(f"{scope}.")
        if not inside or not call.plain or not torch.is_tensor(call.output):
            continue
        inner = model.module.get_submodule(path)
        if any(True for _ in inner.parameters()) or any(True for _ in inner.children()):
            continue
        given = call.arguments[0]
        if given.is_floating_point() and given.shape == call.output.shape and not torch.equal(given, call.output):
            changing.append(path)
    kinds = {type(model.module.get_submodule(path)) for path in changing}
    return changing[0] if len(kinds) == 1 else None


def _part(name: str, path: str, plan: Plan, model: Model) -> Part:
    call, owner, inner = model.calls[path], model.module, model.module
    for step in path.split(".")[:-1]:
        inner = inner.get_submodule(step)
        if not _is_torchs(type(inner)):
            owner = inner
    first = call.first
    swapped = first is not None and first.is_floating_point() and tuple(first.shape[:-1]) == (TIME, BATCH)
    return Part(
        name,
        path,
        plan,
        type(model.module.get_submodule(path)),
        type(owner),
        in_place=not call.plain or swapped,
        swapped=swapped,
        rank=first.dim() if first is not None else None,
    )


def _local(match: Match, scope: str) -> Match:
    """The same match as the part sees it: its parameter without the path of the part."""
    found = match.found
    pattern = found.pattern
    if found.layered:
        index = re.match(re.escape(pattern.partition(LAYER)[0]) + r"(\d+)", found.names[0])
        pattern = pattern.replace(LAYER, index[1] if index else "0", 1)
    else:
        pattern = next((n for n in (pattern, *found.others) if n.startswith(f"{scope}.")), pattern)
    local = pattern.removeprefix(f"{scope}.") if scope else pattern
    names = tuple(name.removeprefix(f"{scope}.") for name in found.names[:1])
    return replace(match, found=replace(found, pattern=local, names=names, layered=False, others=()))


def _common(paths: Sequence[str]) -> str:
    """The path of the innermost module around all of these."""
    common = []
    for steps in zip(*(path.split(".") for path in paths), strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return ".".join(common)


def _home(match: Match) -> str:
    """The path of the module that owns the parameter."""
    return match.found.names[0].rpartition(".")[0]


def _is_torchs(kind: type) -> bool:
    return kind.__module__.startswith("torch.")
