"""Matches by shape, where names tell nothing: a shape that one tensor alone has, then the order of several."""

from __future__ import annotations

from torch import nn

from harness.modules.expected_parameters import ExpectedParameter
from harness.modules.found_parameters import FoundParameter
from harness.modules.layout_choice import is_conv1d, is_torch_layer
from harness.modules.layouts import Arrangement, ways
from harness.modules.name_matching import biases_beside, longest_alias
from harness.modules.parameter_map import Basis
from harness.modules.partial_match import PartialMatch


def match_by_shape(state: PartialMatch) -> None:
    """What has a shape that nothing else has, on both sides. Required tensors only: a stray gain is no bias, and the
    bias of a layer is no gain of a norm that is missing."""
    homes = _homes_of_matrices(state)
    while True:
        required = [s for s in state.open() if not s.optional and s.part is None and not s.joined]
        free = [t for t in state.free() if len(t.shape) > 1 or _home(t) not in homes]
        pairs = [(s, t) for s in required for t in free if s.layered == t.layered and ways(s, t.shape)]
        sure = [(s, t) for s, t in pairs if sum(o is s for o, _ in pairs) == 1 and sum(o is t for _, o in pairs) == 1]
        if not sure:
            return
        state.add(*sure[0], Basis.SHAPE)


def match_head(state: PartialMatch) -> None:
    """The one free layer of the shape of a table of ids is the head that is this table, whatever it is called."""
    wanted = {slot.shape for slot in state.open()}
    for table in [
        p for p in state.pairs if "vocab_size" in p.expected.sizes and isinstance(p.found.owner, nn.Embedding)
    ]:
        slot = table.expected
        homes = [_home(entry) for entry in state.found]
        free = [t for t in state.free() if isinstance(t.owner, nn.Linear) and t.shape == slot.shape and not t.layered]
        is_alone = len(free) == 1 and homes.count(_home(free[0])) == 1 and slot.shape not in wanted
        if is_alone and [p.expected for p in state.pairs].count(slot) == 1:
            state.note_copy(free[0], table.found)
            state.add(slot, free[0], Basis.COPY)


def match_by_order(state: PartialMatch) -> None:
    """As many parameters of one shape as there are tensors of it are matched in the order in which they were made.

    torch's own layers keep [out, in], which distinguishes a wide matrix from a tall one.
    """
    groups: dict[tuple[bool, tuple[int, ...]], list[ExpectedParameter]] = {}
    for slot in _whole_or_parts(state):
        groups.setdefault((slot.layered, slot.shape), []).append(slot)
    for (layered, _), slots in groups.items():
        fitting = [t for t in _weights(state) if t.layered == layered and _can_be(slots[0], t)]
        wanted = _so_many(slots, len(fitting))
        if not wanted or (any(s.optional for s in wanted) and _is_one_named(state, fitting)):
            continue
        if len(wanted) > 1:
            state.ordered.append(tuple((slot.name, entry.pattern) for slot, entry in zip(wanted, fitting, strict=True)))
        for slot, entry in zip(wanted, fitting, strict=True):
            state.add(slot, entry, Basis.ORDER if len(wanted) > 1 else Basis.SHAPE)
    for slot, home in biases_beside(state):  # the second of two parameters in one layer is the bias of the first
        rest = [t for t in state.free() if _home(t) == home and ways(slot, t.shape)]
        if len(rest) == 1:
            state.add(slot, rest[0], Basis.NEIGHBOUR)


def _so_many(slots: list[ExpectedParameter], count: int) -> list[ExpectedParameter]:
    """Of tensors of one shape so many: those that must be there, with those that usually are, with all; else none."""
    required = [s for s in slots if not s.optional]
    usual = [s for s in slots if not s.optional or s.default]
    return next((wanted for wanted in (required, usual, slots) if wanted and len(wanted) == count), [])


def _is_one_named(state: PartialMatch, entries: list[FoundParameter]) -> bool:
    """Whether one is named like a tensor, though its shape may be another at these sizes: names tell something."""
    return any(longest_alias(entry, slot.aliases) for entry in entries for slot in state.expected)


def _home(entry: FoundParameter) -> str:
    """The path of the module that owns it."""
    return entry.pattern.rpartition(".")[0]


def _homes_of_matrices(state: PartialMatch) -> set[str]:
    """The modules that own a matrix: a vector beside it is its bias. Without a name, the top holds parts of its own."""
    return {_home(t) for t in state.found if len(t.shape) > 1} - {""}


def _whole_or_parts(state: PartialMatch) -> list[ExpectedParameter]:
    """Tensors that are not found, biases aside: required ones, gains of norms, and those that make another form.

    Of one kept in parts, its parts where nothing has its whole shape.
    """
    found = []
    for slot in (s for s in state.open() if (not s.optional or s.structural or s.default) and not s.joined):
        has_parts = any(s.path == slot.path and s.part is not None for s in state.expected)
        whole = next(s for s in state.expected if s.path == slot.path and s.part is None)
        in_one = any(_can_be(whole, t) and t.layered == whole.layered for t in _weights(state))
        if not has_parts or (slot.part is None) == in_one:
            found.append(slot)
    return found


def _weights(state: PartialMatch) -> list[FoundParameter]:
    """Free parameters that are no bias: matrices, and the first parameter of each module that holds no matrix."""
    with_matrix = _homes_of_matrices(state)
    weights, seen = [], set[str]()
    for entry in state.free():
        home = _home(entry)
        if len(entry.shape) > 1:
            weights.append(entry)
        elif home not in with_matrix and home not in seen:
            seen.add(home)
            weights.append(entry)
    return weights


def _can_be(slot: ExpectedParameter, entry: FoundParameter) -> bool:
    """Whether the parameter can hold the tensor, given how its layer keeps matrices."""
    kinds = {way.kind for way in ways(slot, entry.shape)}
    if len(slot.shape) == 2 and len(entry.shape) == 2 and not isinstance(entry.owner, nn.Embedding):
        if is_conv1d(entry.owner):
            kinds -= {Arrangement.AS_IS} if slot.shape[0] != slot.shape[1] else set()
        elif is_torch_layer(entry.owner):
            kinds -= {Arrangement.TRANSPOSED}
    return bool(kinds)
