"""Which parameter of somebody's module is which tensor of a contract: by name, then by shape, never by trying it out.

A mistake in the module must not be mapped away, so what the module computes plays no part here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from harness.adapters.wrong_use import near
from harness.core.contract import Argument, Contract

LAYER, STACKED = "*", "#"
"""In a pattern: the index of the layer, and the index of one of several equal pieces (a head, say)."""


class CannotMatch(Exception):
    """The module's parameters are not those of the component. The text is a table of what was found and what not."""


class OtherSize(CannotMatch):
    """The module has another size than the case. ``sizes``: names of the sizes that the tensor in question has."""

    def __init__(self, message: str, sizes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.sizes = sizes


@dataclass(frozen=True)
class Slot:
    """One tensor of the contract, or one of the equal parts that it is stacked from. ``layered``: one per layer.

    ``sizes``: the names of the sizes in its shape.
    """

    path: tuple[str, ...]
    aliases: tuple[str, ...]
    shape: tuple[int, ...]
    optional: bool
    sizes: tuple[str, ...] = ()
    layered: bool = False
    part: int | None = None
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def label(self) -> str:
        whole = ".".join(self.path)
        return whole if self.part is None else f"{whole} ({self.parts[self.part]})"


@dataclass(frozen=True)
class Theirs:
    """One parameter of the module, under all its names; ``pattern`` stands for all layers and all stacked pieces."""

    pattern: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    owner: nn.Module
    layered: bool = False
    stacked: bool = False
    others: tuple[str, ...] = ()

    @property
    def local(self) -> tuple[str, ...]:
        """The names behind the index of the layer."""
        return tuple(
            re.split(r"\*\.?", name, maxsplit=1)[-1] if self.layered else name for name in (self.pattern, *self.others)
        )


class Way(NamedTuple):
    """How a tensor of the contract becomes theirs. ``ones``: axes of theirs that are always of size one."""

    kind: str
    ones: tuple[int, ...] = ()


@dataclass(frozen=True)
class Match:
    """One parameter of the module and the tensor it is given."""

    slot: Slot
    theirs: Theirs
    way: Way
    note: str = ""

    @property
    def confidence(self) -> str:
        """How sure it is: told by the person, sure by name and shape, likely by shape or neighbour, guessed."""
        if "taken as" in self.note or "its place among" in self.note:
            return "guessed"
        if "shape alone" in self.note or "beside" in self.note:
            return "likely"
        return "told" if self.note.startswith(("as you said", "as declared")) else "sure"

    @property
    def layout(self) -> str:
        if len(self.slot.shape) < 2 or isinstance(self.theirs.owner, nn.Embedding):
            return ""
        return {"as is": "[out, in]", "turned": "[in, out]"}.get(self.way.kind, self.way.kind)


class Row(NamedTuple):
    """One line of the table that a person sees."""

    canonical: str
    theirs: str
    shape: str
    layout: str
    note: str
    confidence: str = ""


@dataclass
class Plan:
    """A module's parameters, matched. ``absent``: optional tensors of the contract that the module does not have."""

    matches: list[Match] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    missing: tuple[Slot, ...] = ()
    surplus: tuple[Theirs, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    contract: str = ""
    unplaced: tuple[Slot, ...] = ()
    """Absent ones whose shape a parameter has that matches nothing."""
    kept: tuple[str, ...] = ()
    """Parameters beside the contract's: biases are zero, others stay as they were built."""
    ordered: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Groups of (our name, theirs) that were told apart by their order alone."""
    lacking: tuple[Slot, ...] = ()
    """Tensors of the contract that a module which is judged all the same does not have."""

    @property
    def fine(self) -> bool:
        return not (self.missing or self.surplus or self.problems)

    def rows(self) -> list[Row]:
        """What was matched, then what was not."""
        found = [
            Row(m.slot.label, m.theirs.pattern, _shape(m.theirs.shape), m.layout, m.note, m.confidence)
            for m in self.matches
        ]
        doubtful = {slot.name for slot in self.unplaced}
        without = [name for name in self.absent if name not in doubtful]
        found += [Row(name, "-", "", "", "the module has none; judged without it") for name in without]
        found += [
            Row(slot.label, "?", _shape(slot.shape), "", "optional; not found in the module") for slot in self.unplaced
        ]
        found += [Row(slot.label, "?", _shape(slot.shape), "", "not found in the module") for slot in self.missing]
        found += [Row(slot.label, "-", _shape(slot.shape), "", "the module has none; judged as it is") for slot in self.lacking]
        found += [Row("-", name, "", "", "no part of the component; biases are zero, others as built") for name in self.kept]
        found += [Row("?", theirs.pattern, _shape(theirs.shape), "", "matches nothing") for theirs in self.surplus]
        return found

    def refusal(self) -> str:
        """Why it cannot be checked: the table, and the line that would mend it."""
        lines = [f"the module's parameters cannot be matched with those of {self.contract}:", ""]
        lines += _table(self.rows())
        lines += ["", *self.problems] if self.problems else ["", self._mend()]
        return "\n".join(lines)

    def _mend(self) -> str:
        if not self.missing and not self.unplaced:
            names = ", ".join(t.pattern for t in self.surplus)
            return (
                f"A parameter more than {self.contract} has ({names}) means that the module computes something else; "
                "if it is not learned, make it a buffer (register_buffer)."
            )
        wanted = [*dict.fromkeys(replace(slot, part=None, parts=()) for slot in self.missing), *self.unplaced]
        pairs = []
        for slot in wanted:
            fitting = [t.local[0] for t in self.surplus if ways(slot, t.shape)]
            sure = fitting if len(fitting) == 1 else near(slot.name, fitting)[:1]
            pairs.append(f'"{slot.name}": {repr(sure[0]) if sure else "..."}')
        yours = ", ".join(t.local[0] for t in self.surplus) or "none left"
        told = f'@implements("{self.contract}", names={{{", ".join(pairs)}}})'
        return f"Say which is which: {told}. Yours to choose from: {yours}"


# the contract's side -------------------------------------------------------------------------------------------------


def slots(contract: Contract, arguments: Mapping[str, Any]) -> list[Slot]:
    """Every learned tensor of a contract with its shape in one call; layers are represented by their first."""
    return list(_slots(contract.arguments("parameter"), arguments, sizes(contract, arguments), (), False))


def _slots(
    arguments: Iterable[Argument], values: Any, dimensions: Mapping[str, int], path: tuple[str, ...], layered: bool
) -> Iterator[Slot]:
    for a in arguments:
        value = values.get(a.name) if isinstance(values, Mapping) else None
        if a.kind.startswith("list["):
            first = value[0] if isinstance(value, (list, tuple)) and value else None
            yield from _slots(a.fields, first, dimensions, (*path, a.name, LAYER), True)
        elif a.fields:
            yield from _slots(a.fields, value, dimensions, (*path, a.name), layered)
        else:
            shape = tuple(value.shape) if torch.is_tensor(value) else shape_of(a.kind, dimensions)
            if shape is None:
                continue
            named = tuple(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", a.kind.partition("[")[2])))
            yield Slot((*path, a.name), a.aliases, shape, a.optional, named, layered)
            for i, aliases in enumerate(a.slices.values()):
                one = (shape[0] // len(a.slices), *shape[1:])
                yield Slot((*path, a.name), aliases, one, a.optional, named, layered, i, tuple(a.slices))


def sizes(contract: Contract, arguments: Mapping[str, Any]) -> dict[str, int]:
    """The named sizes of one call, read off its own tensors: all those of its parameters, and of inputs the last axis.

    (How many rows and positions an input has is no property of what computes on it.)
    """
    found: dict[str, int] = {}
    for signature in contract.calls.values():
        for a in signature.arguments:
            value = arguments.get(a.name)
            if a.role == "parameter":
                _read_sizes(a, value, found)
            elif a.role == "input" and torch.is_tensor(value) and value.dim() and value.is_floating_point():
                last = _axes(a.kind)[-1:]
                if last and last[0].isidentifier():
                    found.setdefault(last[0], value.shape[-1])
    return found


def _read_sizes(a: Argument, value: Any, found: dict[str, int]) -> None:
    if a.fields:
        if isinstance(value, (list, tuple)):
            inner = _axes(a.kind)
            if inner and inner[0].isidentifier():
                found[inner[0]] = len(value)
            value = value[0] if value else None
        for one in a.fields:
            _read_sizes(one, value.get(one.name) if isinstance(value, Mapping) else None, found)
    elif torch.is_tensor(value):
        axes = _axes(a.kind)
        if len(axes) == value.dim():
            found.update({axis: size for axis, size in zip(axes, value.shape, strict=True) if axis.isidentifier()})


def _axes(kind: str) -> list[str]:
    inner = kind.partition("[")[2].rpartition("]")[0]
    return [axis.strip() for axis in inner.split(",") if axis.strip()]


def shape_of(kind: str, dimensions: Mapping[str, int]) -> tuple[int, ...] | None:
    """``float[3*width, width]`` with ``width = 4`` is (12, 4); None where a size is not known."""
    found = []
    for axis in _axes(kind):
        size = 1
        for factor in axis.split("*"):
            number = int(factor) if factor.strip().isdigit() else dimensions.get(factor.strip())
            if number is None:
                return None
            size *= number
        found.append(size)
    return tuple(found)


# the module's side ---------------------------------------------------------------------------------------------------


def theirs_of(module: nn.Module, layers: int | None) -> list[Theirs]:
    """Every parameter once, tied ones under all their names. ``layers``: how many layers, None for none."""
    owners = dict(module.named_modules())
    by_tensor: dict[int, list[str]] = {}
    tensors: dict[int, Tensor] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        by_tensor.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    found = []
    for key, names in by_tensor.items():
        if tensors[key].requires_grad or not _is_like_a_buffer(names):
            owner = owners.get(names[0].rpartition(".")[0], module)
            found.append(Theirs(names[0], tuple(names), tuple(tensors[key].shape), owner, others=tuple(names[1:])))
    return _layered(found, layers) if layers is not None else found


def _is_like_a_buffer(names: Sequence[str]) -> bool:
    return any(name.rpartition(".")[2] in ("mask", "bias_mask", "causal_mask", "masked_bias", "tril") for name in names)


def _layered(entries: list[Theirs], layers: int) -> list[Theirs]:
    """The largest family of names that differ in one index alone, one of each for every layer, folded into one."""
    families: dict[tuple[str, str], dict[int, dict[str, Theirs]]] = {}
    for entry in entries:
        tokens = entry.names[0].split(".")
        for at, token in enumerate(tokens[:-1]):
            stem = re.fullmatch(r"(.*?)(\d+)", token)
            if stem:
                head = ".".join((*tokens[:at], stem[1]))
                families.setdefault((head, "."), {}).setdefault(int(stem[2]), {})[".".join(tokens[at + 1 :])] = entry
    best: tuple[int, str, dict[int, dict[str, Theirs]]] | None = None
    for (head, _), members in families.items():
        indices = sorted(members)
        consecutive = indices in (list(range(layers)), list(range(1, layers + 1)))
        alike = len({tuple(sorted((rest, e.shape) for rest, e in m.items())) for m in members.values()}) == 1
        if consecutive and alike:
            weight = sum(len(m) for m in members.values())
            if best is None or weight > best[0] or (weight == best[0] and len(head) < len(best[1])):
                best = (weight, head, members)
    if best is None:
        return entries
    _, head, members = best
    inside = {id(entry) for m in members.values() for entry in m.values()}
    folded = []
    for rest, first in members[min(members)].items():
        names = tuple(members[i][rest].names[0] for i in sorted(members))
        folded.append(replace(first, pattern=f"{head}{LAYER}.{rest}", names=names, layered=True, others=()))
    return [entry for entry in entries if id(entry) not in inside] + folded


def _stacks(entries: list[Theirs]) -> list[Theirs]:
    """Parameters of one shape whose names differ in one index (``heads.0.key``, ``heads.1.key``), put together."""
    families: dict[str, dict[int, Theirs]] = {}
    for entry in entries:
        for found in re.finditer(r"(?<![^.])(\d+)(?=\.)", entry.pattern):
            pattern = entry.pattern[: found.start()] + STACKED + entry.pattern[found.end() :]
            families.setdefault(pattern, {})[int(found[1])] = entry
    stacked = []
    for pattern, members in families.items():
        pieces = [members[i] for i in sorted(members)]
        if sorted(members) == list(range(len(members))) and len(members) > 1 and len({p.shape for p in pieces}) == 1:
            names = tuple(name for piece in pieces for name in piece.names)
            stacked.append(
                replace(
                    pieces[0],
                    pattern=pattern,
                    names=names,
                    shape=(len(pieces), *pieces[0].shape),
                    stacked=True,
                    others=(),
                )
            )
    return stacked


# shapes --------------------------------------------------------------------------------------------------------------


def ways(slot: Slot, shape: tuple[int, ...]) -> list[Way]:
    """How a tensor of the slot's shape can be laid out in ``shape``, the likeliest first."""
    ones = (
        tuple(i for i, size in enumerate(shape) if size == 1)
        if len(shape) != len(slot.shape) and 1 not in slot.shape
        else ()
    )
    bare = tuple(size for i, size in enumerate(shape) if i not in ones)
    found = [Way(kind, ones) for kind in _kinds(slot.shape, bare, slot.part is not None or bool(slot.parts))]
    return found


def _kinds(ours: tuple[int, ...], theirs: tuple[int, ...], splits_rows: bool) -> list[str]:
    if ours == theirs:
        return ["as is", "turned"] if len(ours) == 2 and ours[0] == ours[1] else ["as is"]
    if len(ours) == 2 and theirs == ours[::-1]:
        return ["turned"]
    if len(ours) == 1 and len(theirs) == 2:
        return ["pieces"] if math.prod(theirs) == ours[0] else []
    if len(ours) == 2 and len(theirs) == 3:
        rows = [kind for kind in _ROW_KINDS if _SPLIT[kind](ours, theirs)]
        columns = [kind for kind in _COLUMN_KINDS if _SPLIT[kind](ours, theirs)]
        return rows + columns if splits_rows else columns + rows
    return []


_SPLIT = {
    "[piece, out, in]": lambda s, t: t[0] * t[1] == s[0] and t[2] == s[1],
    "[piece, in, out]": lambda s, t: t[0] * t[2] == s[0] and t[1] == s[1],
    "[in, piece, out]": lambda s, t: t[0] == s[1] and t[1] * t[2] == s[0],
    "[out, piece, in]": lambda s, t: t[0] == s[0] and t[1] * t[2] == s[1],
    "[pieces of in, out]": lambda s, t: t[0] * t[1] == s[1] and t[2] == s[0],
    "[pieces of in: out, in]": lambda s, t: t[0] * t[2] == s[1] and t[1] == s[0],
}
_ROW_KINDS = ("[piece, out, in]", "[piece, in, out]", "[in, piece, out]")
_COLUMN_KINDS = ("[pieces of in, out]", "[pieces of in: out, in]", "[out, piece, in]")


def laid_out(value: Tensor, way: Way, shape: tuple[int, ...]) -> Tensor:
    """The tensor of the contract as theirs; gradients flow back. Raises ValueError where the sizes differ."""
    bare = tuple(size for i, size in enumerate(shape) if i not in way.ones)
    if way.kind not in _all_kinds(tuple(value.shape), bare):
        raise ValueError(f"{_shape(tuple(value.shape))} cannot be laid out as {_shape(shape)} {way.kind}")
    if way.kind == "turned":
        turned = value.t()
    elif way.kind == "[piece, in, out]":
        turned = value.reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
    elif way.kind in ("[in, piece, out]", "[pieces of in, out]"):
        turned = value.t().reshape(bare)
    elif way.kind == "[pieces of in: out, in]":
        turned = value.t().reshape(bare[0], bare[2], bare[1]).transpose(1, 2)
    else:
        turned = value.reshape(bare)
    return turned.contiguous().reshape(shape)


def _all_kinds(ours: tuple[int, ...], theirs: tuple[int, ...]) -> list[str]:
    return _kinds(ours, theirs, True)


# matching ------------------------------------------------------------------------------------------------------------


def plan(
    contract: Contract,
    module: nn.Module,
    arguments: Mapping[str, Any],
    names: Mapping[str, Any] | None = None,
    layout: str | None = None,
    by_order: bool = False,
) -> Plan:
    """Match the module's parameters with the contract's, as they are in this call.

    ``by_order``: where neither names nor shapes tell, the order in which they were made may; see ``Plan.ordered``.
    """
    ours = slots(contract, arguments)
    layers = _layers(contract, arguments)
    return _Matcher(contract, ours, theirs_of(module, layers), names or {}, layout).plan(by_order)


def _layers(contract: Contract, arguments: Mapping[str, Any]) -> int | None:
    def look(parameters: Iterable[Argument], values: Any) -> int | None:
        for a in parameters:
            value = values.get(a.name) if isinstance(values, Mapping) else None
            if a.kind.startswith("list["):
                return len(value) if isinstance(value, (list, tuple)) else 0
            if a.fields and (found := look(a.fields, value)) is not None:
                return found
        return None

    return look(contract.arguments("parameter"), arguments)


class _Matcher:
    """Names first, then what stands beside a named one, then shapes that only one parameter has."""

    def __init__(
        self, contract: Contract, ours: list[Slot], theirs: list[Theirs], names: Mapping[str, Any], layout: str | None
    ) -> None:
        self.contract, self.ours, self.theirs, self.layout = contract, ours, list(theirs), layout
        self.names = names
        self.matches: list[tuple[Slot, Theirs, str]] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.guessed: list[str] = []
        self.ordered: list[tuple[tuple[str, str], ...]] = []

    def plan(self, by_order: bool = False) -> Plan:
        self._as_told()
        self._by_name(self._free())
        stacked = _stacks(self._free())
        self._by_name(stacked)
        self._beside()
        self._by_shape()
        self._beside()
        if by_order:
            self._by_order()
            self._beside()
        missing, absent = self._not_found()
        matches = self._laid_out()
        self._of_another_size()
        free = self._free()
        unplaced = [s for s in self._open() if s.optional and s.part is None and any(ways(s, t.shape) for t in free)]
        if self.guessed:
            many = "are square and were" if len(self.guessed) > 1 else "is square and was"
            names = ", ".join(self.guessed)
            self.notes.append(f'{names} {many} taken as [out, in]; where yours are [in, out], declare layout="in_out"')
        return Plan(
            matches=matches,
            absent=tuple(absent),
            missing=tuple(missing),
            surplus=tuple(free),
            problems=tuple(self.problems),
            notes=tuple(self.notes),
            contract=self.contract.name,
            unplaced=tuple(unplaced),
            ordered=tuple(self.ordered),
        )

    def _free(self) -> list[Theirs]:
        taken = {name for _, theirs, _ in self.matches for name in theirs.names}
        return [t for t in self.theirs if not taken.intersection(t.names)]

    def _open(self) -> list[Slot]:
        """The slots that nothing is matched with: neither the whole nor the part."""
        whole = {(s.path) for s, _, _ in self.matches if s.part is None}
        pieces = {(s.path, s.part) for s, _, _ in self.matches if s.part is not None}
        begun = {path for path, _ in pieces}
        return [
            s
            for s in self.ours
            if s.path not in whole and (s.path, s.part) not in pieces and not (s.part is None and s.path in begun)
        ]

    def _as_told(self) -> None:
        for name, given in self.names.items():
            wanted = [given] if isinstance(given, str) else list(given)
            slots_of = [s for s in self.ours if s.name == name]
            parts = [s for s in slots_of if s.part is not None]
            for i, suffix in enumerate(wanted):
                suffix = suffix.rpartition(f"{LAYER}.")[2]
                everything = [*self._free(), *_stacks(self._free())]
                hits = [t for t in everything if any(_ends(local, suffix) for local in t.local)]
                exact = [t for t in hits if suffix in t.local] or hits
                if len(exact) != 1:
                    known = [t.local[0] for t in self.theirs]
                    hint = ", ".join(near(suffix, known, 0.3)) or ", ".join(known[:6])
                    found = "no parameter" if not exact else f"{len(exact)} parameters"
                    self.problems.append(
                        f"names= says that {name} is {suffix!r}, but the module has {found} of that name "
                        f"(it has: {hint})"
                    )
                    continue
                slot = (
                    parts[i]
                    if len(wanted) > 1 and len(parts) == len(wanted)
                    else next((s for s in slots_of if s.part is None), None)
                )
                if slot is not None:
                    self.matches.append((slot, exact[0], "as you said"))

    def _by_name(self, entries: Sequence[Theirs]) -> None:
        """Each parameter goes to the slot with the longest fitting name, among those whose shape it can have."""
        open_slots = self._open()
        chosen: dict[tuple[Any, ...], list[tuple[Theirs, str]]] = {}
        for entry in entries:
            best: tuple[tuple[int, int, int], Slot, str] | None = None
            for slot in open_slots:
                if slot.layered != entry.layered or not ways(slot, entry.shape):
                    continue
                fit = _longest(entry.local, slot.aliases)
                if fit and (best is None or fit[0] > best[0]):
                    best = (fit[0], slot, fit[1])
            if best is not None:
                chosen.setdefault((best[1].path, best[1].part), []).append((entry, best[2]))
        for slot in open_slots:
            fitting = chosen.get((slot.path, slot.part), [])
            if len({alias for _, alias in fitting}) < len(fitting):
                continue  # several of one name: pieces of it, or not to be told apart
            for entry, _ in fitting:
                first = not any(s is slot for s, _, _ in self.matches)
                note = "" if first else "a copy: given the same numbers"
                if not first:
                    other = next(t for s, t, _ in self.matches if s is slot)
                    self.notes.append(
                        f"{entry.pattern} and {other.pattern} are two tensors where {self.contract.name} has one; "
                        "both are given the same numbers"
                    )
                self.matches.append((slot, entry, note))

    def _beside(self) -> None:
        """A bias whose weight is known is the bias that belongs to it."""
        for slot in self._open():
            if not slot.name.endswith("bias"):
                continue
            for other, theirs, _ in list(self.matches):
                if (other.path[:-1], other.part) != (slot.path[:-1], slot.part) or other.name != slot.name[
                    : -len("bias")
                ] + "weight":
                    continue
                owner = theirs.pattern.rpartition(".")[0]
                near_by = [t for t in self._free() if t.pattern.rpartition(".")[0] == owner and ways(slot, t.shape)]
                biases = [t for t in near_by if _last(t) in ("bias", "b", "shift", "beta")]
                if len(biases) == 1:
                    self.matches.append((slot, biases[0], "beside its weight"))
                    break

    def _by_shape(self) -> None:
        """What has a shape that nothing else has, on both sides. Required tensors only: a stray gain is no bias."""
        while True:
            required = [s for s in self._open() if not s.optional and s.part is None]
            free = self._free()
            pairs = [(s, t) for s in required for t in free if s.layered == t.layered and ways(s, t.shape)]
            sure = [
                (s, t) for s, t in pairs if sum(o is s for o, _ in pairs) == 1 and sum(o is t for _, o in pairs) == 1
            ]
            if not sure:
                return
            self.matches.append((*sure[0], "by its shape alone"))

    def _by_order(self) -> None:
        """What names do not tell: as many of one shape as there are tensors of it, in the order in which they were made.

        torch's own layers keep [out, in], so that a wide matrix is told from a tall one.
        """
        groups: dict[tuple[bool, tuple[int, ...]], list[Slot]] = {}
        for slot in self._in_one_piece_or_parts():
            groups.setdefault((slot.layered, slot.shape), []).append(slot)
        for (layered, _), wanted in groups.items():
            fitting = [t for t in self._mains() if t.layered == layered and self._can_be(wanted[0], t)]
            if len(fitting) != len(wanted):
                continue
            if len(wanted) > 1:
                self.ordered.append(tuple((slot.name, theirs.pattern) for slot, theirs in zip(wanted, fitting, strict=True)))
            for slot, theirs in zip(wanted, fitting, strict=True):
                note = f"by its shape and its place among {len(wanted)}" if len(wanted) > 1 else "by its shape alone"
                self.matches.append((slot, theirs, note))
        for slot in self._open():  # the second of two in one module belongs to the first
            for other, theirs, _ in list(self.matches):
                pair = slot.name.endswith("bias") and other.name == slot.name[: -len("bias")] + "weight"
                if pair and (other.path[:-1], other.part) == (slot.path[:-1], slot.part):
                    home = theirs.pattern.rpartition(".")[0]
                    rest = [t for t in self._free() if t.pattern.rpartition(".")[0] == home and ways(slot, t.shape)]
                    if len(rest) == 1:
                        self.matches.append((slot, rest[0], "beside its weight"))

    def _in_one_piece_or_parts(self) -> list[Slot]:
        """Required tensors that are not found; of one that is kept in parts, the parts where nothing has its whole shape."""
        found, open_slots = [], [s for s in self._open() if not s.optional]
        for slot in open_slots:
            parted = any(s.path == slot.path and s.part is not None for s in self.ours)
            whole = next(s for s in self.ours if s.path == slot.path and s.part is None)
            in_one = any(self._can_be(whole, t) and t.layered == whole.layered for t in self._mains())
            if not parted or (slot.part is None) == in_one:
                found.append(slot)
        return found

    def _mains(self) -> list[Theirs]:
        """Free parameters that are no bias: matrices, and the first of those modules that hold no matrix."""
        deep = {t.pattern.rpartition(".")[0] for t in self.theirs if len(t.shape) > 1}
        mains, seen = [], set[str]()
        for t in self._free():
            home = t.pattern.rpartition(".")[0]
            if len(t.shape) > 1:
                mains.append(t)
            elif home not in deep and home not in seen:
                seen.add(home)
                mains.append(t)
        return mains

    def _can_be(self, slot: Slot, theirs: Theirs) -> bool:
        kinds = {way.kind for way in ways(slot, theirs.shape)}
        if len(slot.shape) == 2 and len(theirs.shape) == 2 and not isinstance(theirs.owner, nn.Embedding):
            if type(theirs.owner).__name__ == "Conv1D":
                kinds -= {"as is"} if slot.shape[0] != slot.shape[1] else set()
            elif _is_a_layer_of_torch(theirs.owner):
                kinds -= {"turned"}
        return bool(kinds)

    def _not_found(self) -> tuple[list[Slot], list[str]]:
        missing, absent = [], []
        begun = {s.path for s, _, _ in self.matches}
        for slot in self._open():
            if slot.part is not None:
                if slot.path in begun:
                    missing.append(slot)
            elif slot.optional:
                absent.append(slot.name)
            else:
                missing.append(slot)
        return missing, list(dict.fromkeys(absent))

    def _of_another_size(self) -> None:
        """Parameters that are named like a tensor that was not found, but have another shape."""
        for entry in self._free():
            named = [
                (fit[0], slot)
                for slot in self._open()
                if slot.layered == entry.layered and (fit := _longest(entry.local, slot.aliases))
            ]
            if named:
                slot = max(named, key=lambda pair: pair[0])[1]
                self.problems.append(
                    f"{entry.pattern} is named like {slot.label}, but is {_shape(entry.shape)} where that is "
                    f"{_shape(slot.shape)}: does the factory build it with config.{' and config.'.join(slot.sizes)}?"
                )

    # layouts

    def _laid_out(self) -> list[Match]:
        decided: list[tuple[Theirs, str]] = []
        for slot, theirs, _ in self.matches:
            kinds = [way.kind for way in ways(slot, theirs.shape)]
            if (
                len(slot.shape) == 2
                and len(kinds) == 1
                and kinds[0] in ("as is", "turned")
                and not isinstance(theirs.owner, nn.Embedding)
            ):
                decided.append((theirs, kinds[0]))
        found = []
        for slot, theirs, note in self.matches:
            fitting = ways(slot, theirs.shape)
            if not fitting:
                self.problems.append(
                    f"{theirs.pattern} is {_shape(theirs.shape)}, but {slot.label} is {_shape(slot.shape)}"
                )
                continue
            way, why = fitting[0], ""
            if {"as is", "turned"} <= {w.kind for w in fitting}:
                kind, why = self._square(theirs, decided)
                way = next(w for w in fitting if w.kind == kind)
            found.append(Match(slot, theirs, way, "; ".join(filter(None, (note, why)))))
        order = {(s.path, s.part): i for i, s in enumerate(self.ours)}
        return sorted(found, key=lambda m: order[(m.slot.path, m.slot.part)])

    def _square(self, theirs: Theirs, decided: Sequence[tuple[Theirs, str]]) -> tuple[str, str]:
        """A square matrix does not show its layout: its owner's type, what was declared, or its siblings tell."""
        if type(theirs.owner).__name__ == "Conv1D":
            return "turned", ""
        if _is_a_layer_of_torch(theirs.owner):
            return "as is", ""
        if self.layout is not None:
            return ("turned", "as declared") if self.layout == "in_out" else ("as is", "as declared")
        same_type = {kind for other, kind in decided if type(other.owner) is type(theirs.owner)}
        for kinds in (same_type, {kind for _, kind in decided}):
            if len(kinds) == 1:
                return next(iter(kinds)), "square: laid out as its siblings"
        self.guessed.append(theirs.pattern)
        return "as is", "square: taken as [out, in]"


def _is_a_layer_of_torch(owner: nn.Module) -> bool:
    """Torch's own layers, or classes derived from them, keep what they multiply with as [out, in]."""
    holders = ("torch.nn.modules.container", "torch.nn.modules.module")
    homes = [kind.__module__ for kind in type(owner).__mro__]
    return any(home.startswith("torch.nn.modules.") and home not in holders for home in homes)


def _ends(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


def _longest(names: Iterable[str], aliases: Iterable[str]) -> tuple[tuple[int, int, int], str] | None:
    """The longest alias that one of the names ends in; where capitals differ, less."""
    best = None
    for alias in aliases:
        for name in names:
            exact = _ends(name, alias)
            if exact or _ends(name.lower(), alias.lower()):
                rank = (alias.count(".") + 1, int(exact), len(alias))
                if best is None or rank > best[0]:
                    best = (rank, alias)
    return best


def _last(theirs: Theirs) -> str:
    return theirs.pattern.rpartition(".")[2]


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _table(rows: Sequence[Row]) -> list[str]:
    head = Row("ours", "yours", "shape", "layout", "")
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(4)]
    return ["  " + "  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row.note]).rstrip() for row in every]


# giving the numbers --------------------------------------------------------------------------------------------------


def values_for(plan_: Plan, module: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """The module's parameters by name, each the contract's tensor (or a part of it) in the module's own layout.

    An optional tensor that the case leaves out is zero. Raises CannotMatch where this module has other parameters than
    the one that the plan was made with.
    """
    live = dict(module.named_parameters(remove_duplicate=False))
    given: dict[str, Tensor] = {}
    done: set[int] = set()
    for match in plan_.matches:
        for index, holder in _holders(match.slot, arguments):
            names = _names(match.theirs, index, live)
            if not names:
                raise CannotMatch(f"the module has no {match.theirs.pattern} here, though it has one at other sizes")
            value = holder.get(match.slot.name) if isinstance(holder, Mapping) else None
            one = live[names[0]]
            shape = (len(names), *one.shape) if match.theirs.stacked else tuple(one.shape)
            if value is None:
                new = torch.zeros(shape, dtype=one.dtype, device=one.device)
            else:
                if match.slot.part is not None:
                    rows = value.shape[0] // len(match.slot.parts)
                    value = value[match.slot.part * rows : (match.slot.part + 1) * rows]
                new = _laid_out_or_refused(value, match, shape)
            for name, piece in zip(names, new if match.theirs.stacked else [new], strict=True):
                given[name] = piece
                done.add(id(live[name]))
    for name in plan_.kept:
        if name in live and id(live[name]) not in done:
            done.add(id(live[name]))
            if name.rpartition(".")[2] in ("bias", "b"):
                given[name] = torch.zeros_like(live[name])
    left = [name for name, tensor in live.items() if id(tensor) not in done and not _is_like_a_buffer([name])]
    if left:
        raise CannotMatch(
            f"at these sizes the module has parameters that it does not have at others: {', '.join(left)}"
        )
    return given


def _laid_out_or_refused(value: Tensor, match: Match, shape: tuple[int, ...]) -> Tensor:
    try:
        return laid_out(value, match.way, shape)
    except ValueError:
        text = f"its {match.theirs.pattern} is {_shape(shape)} where {match.slot.label} is {_shape(tuple(value.shape))}"
        raise OtherSize(f"{text}; was the module built with the sizes of config?", match.slot.sizes) from None


def _holders(slot: Slot, arguments: Mapping[str, Any]) -> Iterator[tuple[int | None, Any]]:
    """The dictionary that the slot's tensor stands in, once per layer."""
    holder: Any = arguments
    path = slot.path[:-1]
    if LAYER not in path:
        for step in path:
            holder = holder[step]
        yield None, holder
        return
    at = path.index(LAYER)
    for step in path[:at]:
        holder = holder[step]
    for index, one in enumerate(holder):
        for step in path[at + 1 :]:
            one = one[step]
        yield index, one


def _names(theirs: Theirs, layer: int | None, live: Mapping[str, Tensor]) -> list[str]:
    """The names that a pattern stands for in this module, in one layer."""
    pattern = theirs.pattern
    if layer is not None:
        first = re.escape(pattern.partition(LAYER)[0])
        start = 0 if any(re.match(rf"{first}0\.", name) for name in live) else 1
        pattern = pattern.replace(LAYER, str(layer + start), 1)
    if not theirs.stacked:
        return [pattern] if pattern in live else []
    names: list[str] = []
    while (name := pattern.replace(STACKED, str(len(names)), 1)) in live:
        names.append(name)
    return names
