"""Takes a whole module apart: which of its own modules is which part, and how the whole itself calls it.

The parameters that were matched show who owns them; one run of the whole shows what each of its modules is given. So a
part needs no adapter: it is built by building the whole, and where it takes more than its input (a mask, positions) it
is called by the whole, with our input in place of the whole's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.core.claim import NotSupported
from harness.core.contract import Contract
from harness.core.errors import UsageError, did_you_mean
from harness.execution.bound_call import Ready, as_it_is
from harness.modules.expected_parameters import LAYER
from harness.modules.parameter_map import Match, Plan

WHOLE = "_plumbline_whole"


@dataclass
class Seen:
    """The first call of one module in a run of the whole."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    output: Any = None

    @property
    def first(self) -> torch.Tensor | None:
        """The first tensor it was given."""
        for value in (*self.arguments, *self.options.values()):
            if torch.is_tensor(value):
                return value
        return None

    @property
    def plain(self) -> bool:
        """Whether it was given one tensor and nothing else that says anything."""
        others = [v for v in (*self.arguments[1:], *self.options.values()) if v is not None and v is not False]
        return bool(self.arguments) and torch.is_tensor(self.arguments[0]) and not others


@dataclass(frozen=True)
class Part:
    """One part of a whole: where it is, its parameters matched, and how it is called.

    ``in_place``: the whole calls it, see :func:`call_in_place`; ``swapped``: it is given time before batch.
    """

    component: str
    path: str
    plan: Plan
    kind: type
    owner: type
    in_place: bool = False
    swapped: bool = False
    rank: int | None = None
    notes: tuple[str, ...] = field(default=())


def told_parts(
    parts: Sequence[Part], told: Mapping[str, Any], module: nn.Module, seen: Mapping[str, Seen]
) -> list[Part]:
    """The parts, each at the place that a person says; and those that only a person knows of.

    ``told``: component -> what is said of it, with ``inside``. Raises UsageError where nothing that is called is there.
    """
    found = {part.component: part for part in parts}
    for name, said in told.items():
        if not said.inside or (name in found and found[name].path == said.inside):
            continue
        if said.inside not in seen:
            hint = did_you_mean(said.inside, seen, 0.5) or f"called are: {', '.join(list(seen)[:12])}"
            raise UsageError(
                f"plumbline.map.toml: {name} is said to stand at {said.inside!r}, where no module is called; {hint}"
            )
        whole = nn.Module.get_submodule(module, said.inside)
        theirs = [n for n, _ in whole.named_parameters()]
        if theirs and not said.names:
            raise UsageError(
                f"plumbline.map.toml: {name} is said to stand at {said.inside!r}: say its names too ({', '.join(theirs[:6])})"
            )
        found[name] = _part(name, said.inside, Plan(contract=name), module, seen)
    return list(found.values())


class _Stop(Exception):
    """What was wanted of the whole is there."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


@contextmanager
def watched(module: nn.Module) -> Iterator[dict[str, Seen]]:
    """While this lasts, the first call of every module inside is noted."""
    seen: dict[str, Seen] = {}
    handles = []

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any) -> None:
            seen.setdefault(name, Seen(arguments, options, output))

        return hook

    for name, inner in module.named_modules():
        if name:
            handles.append(inner.register_forward_hook(note(name), with_kwargs=True))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def parts_of(
    contract: Contract,
    plan: Plan,
    module: nn.Module,
    seen: Mapping[str, Seen],
    inputs: Mapping[str, Any],
    contracts: Mapping[str, Contract],
) -> list[Part]:
    """Every part of a matched whole that is a module of its own, parts of parts too, the first of each kind.

    ``inputs``: what the whole was given in the run that was watched, by the names of its contract.
    """
    found: dict[str, Part] = {}
    _take_apart(contract, plan, "", module, seen, inputs, contracts, found)
    return list(found.values())


def _take_apart(
    contract: Contract,
    plan: Plan,
    scope: str,
    module: nn.Module,
    seen: Mapping[str, Seen],
    inputs: Mapping[str, Any],
    contracts: Mapping[str, Contract],
    found: dict[str, Part],
) -> None:
    for name, renamed in contract.inside.items():
        part_contract = contracts.get(name)
        if part_contract is None:
            continue
        if not renamed:
            path = _activation(scope, module, seen)
            if path is not None and name not in found:
                found[name] = _part(name, path, Plan(contract=name), module, seen)
            continue
        matches, absent = _handed_down(plan, renamed)
        if not matches:
            continue
        path = _owner(matches, part_contract, seen, inputs, module)
        path = _widened(path, scope, module, seen) if path else path
        within = path if path is not None else _common([m.found.names[0].rpartition(".")[0] for m in matches])
        inside = [m for m in matches if any(n.startswith(f"{within}.") for n in (m.found.names[0], *m.found.others))]
        handed = Plan(matches=[_local(m, within) for m in inside], absent=absent, contract=name)
        if path and path != scope and name not in found:
            found[name] = _part(name, path, handed, module, seen)
        if part_contract.inside:
            # The plan stays in names of the whole, so that parts of parts are found from the root.
            _take_apart(part_contract, replace(handed, matches=matches), within, module, seen, inputs, contracts, found)


def _handed_down(plan: Plan, renamed: Mapping[str, str]) -> tuple[list[Match], tuple[str, ...]]:
    """The matches of the tensors that a part has, under the part's names, and those it does without."""
    matches: list[Match] = []
    for match in plan.matches:
        path = match.expected.path
        for part_name, here in renamed.items():
            if here in path[:-1]:  # a list of records: the part is one of them
                matches.append(
                    replace(match, expected=replace(match.expected, path=(part_name, path[-1]), layered=False))
                )
            elif path[-1] == here:
                matches.append(replace(match, expected=replace(match.expected, path=(part_name,), layered=False)))
    listed = any(here in m.expected.path[:-1] for m in plan.matches for here in renamed.values())
    back = {here: part_name for part_name, here in renamed.items()}
    absent = tuple(plan.absent) if listed else tuple(back[name] for name in plan.absent if name in back)
    return matches, absent


def _first_name(match: Match) -> str:
    return match.found.names[0]


def _owner(
    matches: Sequence[Match],
    contract: Contract,
    seen: Mapping[str, Seen],
    inputs: Mapping[str, Any],
    module: nn.Module,
) -> str | None:
    """The module that holds all these parameters and is called with what such a part takes."""
    wanted = next(a for s in contract.calls.values() for a in s.arguments if a.role == "input")
    if len({m.expected.path for m in matches}) == 1 and matches[0].expected.part is None:
        names = [name for m in matches for name in (m.found.names[0], *m.found.others)]
        candidates = [name.rpartition(".")[0] for name in names]
    else:
        candidates = [_common([_first_name(m).rpartition(".")[0] for m in matches])]
    return next((path for path in candidates if path and _is_given(wanted, path, seen, inputs)), None)


def _widened(path: str, scope: str, module: nn.Module, seen: Mapping[str, Seen]) -> str:
    """A class of theirs around the part that adds nothing to learn is the part: FeedForward, not the Sequential in it."""
    inner = {id(p) for p in module.get_submodule(path).parameters()}
    outer = path.rpartition(".")[0]
    while outer and outer != scope and outer.startswith(scope):
        around, call = module.get_submodule(outer), seen.get(outer)
        same = {id(p) for p in around.parameters()} == inner
        if not same or call is None or call.first is None or not torch.is_tensor(call.output):
            break
        if not type(around).__module__.startswith("torch."):
            path = outer
        outer = outer.rpartition(".")[0]
    return path


def _is_given(wanted: Any, path: str, seen: Mapping[str, Seen], inputs: Mapping[str, Any]) -> bool:
    call = seen.get(path)
    first = call.first if call is not None else None
    if first is None:
        return False
    if not wanted.kind.startswith("int"):
        return first.is_floating_point()
    if first.is_floating_point():
        return False
    # Positions are not ids: a table that is handed the ids, and looks at their number alone, is no such part.
    given = [v for v in inputs.values() if torch.is_tensor(v) and v.shape == first.shape and torch.equal(v, first)]
    return bool(given) == (wanted.name in inputs)


def _activation(scope: str, module: nn.Module, seen: Mapping[str, Seen]) -> str | None:
    """The one module without parameters in this scope that changes what it is given, shape apart."""
    changing = []
    for path, call in seen.items():
        inside = not scope or path.startswith(f"{scope}.")
        if not inside or not call.plain or not torch.is_tensor(call.output):
            continue
        inner = module.get_submodule(path)
        if any(True for _ in inner.parameters()) or any(True for _ in inner.children()):
            continue
        given = call.arguments[0]
        if given.is_floating_point() and given.shape == call.output.shape and not torch.equal(given, call.output):
            changing.append(path)
    kinds = {type(module.get_submodule(path)) for path in changing}
    return changing[0] if len(kinds) == 1 else None


def _part(name: str, path: str, plan: Plan, module: nn.Module, seen: Mapping[str, Seen]) -> Part:
    call, owner, inner = seen[path], module, module
    for step in path.split(".")[:-1]:
        inner = inner.get_submodule(step)
        if not type(inner).__module__.startswith("torch."):
            owner = inner
    first = call.first
    streams = first is not None and first.is_floating_point() and first.dim() == 3
    swapped = bool(streams and first is not None and tuple(first.shape[:2]) == (TIME, BATCH))
    return Part(
        name,
        path,
        plan,
        type(module.get_submodule(path)),
        type(owner),
        in_place=not call.plain or swapped,
        swapped=swapped,
        rank=first.dim() if first is not None else None,
    )


BATCH, TIME = 2, 5
"""Of the run that is watched: different, so that the order of the axes shows."""


def _local(match: Match, scope: str) -> Match:
    """The same match as the part sees it: its parameter without the way to the part."""
    theirs = match.found
    pattern = theirs.pattern
    if theirs.layered:
        index = re.match(re.escape(pattern.partition(LAYER)[0]) + r"(\d+)", theirs.names[0])
        pattern = pattern.replace(LAYER, index[1] if index else "0", 1)
    else:
        pattern = next((n for n in (pattern, *theirs.others) if n.startswith(f"{scope}.")), pattern)
    local = pattern.removeprefix(f"{scope}.") if scope else pattern
    names = tuple(name.removeprefix(f"{scope}.") for name in theirs.names[:1])
    return replace(match, found=replace(theirs, pattern=local, names=names, layered=False, others=()))


def _common(paths: Sequence[str]) -> str:
    split = [path.split(".") for path in paths]
    common = []
    for steps in zip(*split, strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return ".".join(common)


def call_in_place(path: str, swapped: bool, ids: bool) -> Callable[..., Any]:
    """How a part is called by the whole it stands in: with our input wherever the whole passes its own.

    ``ids``: whether the whole is given ids, rather than a stream. What the whole gives beside its stream (a mask, say)
    stays as the whole made it for that many positions.
    """

    def call(part: nn.Module, x: torch.Tensor, note: list[Any] | None = None) -> Any:
        if x.dim() != 3:
            raise NotSupported("its model calls it with [batch, time, width] alone")
        whole: nn.Module = part.__dict__[WHOLE][0]
        whole.train(part.training)
        given = x.transpose(0, 1) if swapped else x
        done = False

        def substitute(_: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            stream = next(v for v in (*arguments, *options.values()) if torch.is_tensor(v) and v.is_floating_point())

            def ours(value: Any) -> Any:
                same = torch.is_tensor(value) and value.shape == stream.shape and value.dtype == stream.dtype
                return given if same and (value is stream or torch.equal(value, stream)) else value

            handed = tuple(map(ours, arguments)), {name: ours(value) for name, value in options.items()}
            if note is not None:
                note.append(handed)
            return handed

        def stop(_: nn.Module, __: Any, output: Any) -> None:
            nonlocal done
            done = True
            raise _Stop(output)

        before = part.register_forward_pre_hook(substitute, with_kwargs=True)
        after = part.register_forward_hook(stop)
        try:
            whole(torch.zeros(x.shape[:2], dtype=torch.long, device=x.device) if ids else torch.zeros_like(x))
        except _Stop as stopped:
            return _turned_back(stopped.output) if swapped else stopped.output
        finally:
            before.remove()
            after.remove()
        raise NotSupported(f"its model does not call {path}")

    def ready(part: nn.Module, inputs: list[Any], options: dict[str, Any]) -> Ready:
        """What the whole hands to the part is taken down once; then the part is called alone."""
        taken: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        call(part, inputs[0], taken)
        arguments, given = taken[0]
        return Ready(partial(part, *arguments, **given), _turned_back if swapped else as_it_is)

    call.ready = ready  # type: ignore[attr-defined]
    return call


def _turned_back(output: Any) -> Any:
    first = output[0] if isinstance(output, tuple) else output
    return first.transpose(0, 1) if torch.is_tensor(first) and first.dim() == 3 else output
