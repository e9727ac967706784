"""Which parameter of somebody's module is which tensor of a contract: by name, then by shape, never by trying it out.

A mistake in the module must not be mapped away, so what the module computes runs no part here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from harness.core.contract import Argument, Contract
from harness.core.errors import near
from harness.modules.expected_parameters import LAYER, ExpectedParameter, slots
from harness.modules.found_parameters import FoundParameter, stacks, theirs_of
from harness.modules.layouts import shown, ways
from harness.modules.parameter_map import Match, Plan


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
        self,
        contract: Contract,
        ours: list[ExpectedParameter],
        theirs: list[FoundParameter],
        names: Mapping[str, Any],
        layout: str | None,
    ) -> None:
        self.contract, self.ours, self.theirs, self.layout = contract, ours, list(theirs), layout
        self.names = names
        self.matches: list[tuple[ExpectedParameter, FoundParameter, str]] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.guessed: list[str] = []
        self.ordered: list[tuple[tuple[str, str], ...]] = []

    def plan(self, by_order: bool = False) -> Plan:
        self._as_told()
        self._by_name(self._free())
        stacked = stacks(self._free())
        self._by_name(stacked)
        self._beside()
        self._byshown()
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

    def _free(self) -> list[FoundParameter]:
        taken = {name for _, theirs, _ in self.matches for name in theirs.names}
        return [t for t in self.theirs if not taken.intersection(t.names)]

    def _open(self) -> list[ExpectedParameter]:
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
                everything = [*self._free(), *stacks(self._free())]
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

    def _by_name(self, entries: Sequence[FoundParameter]) -> None:
        """Each parameter goes to the slot with the longest fitting name, among those whose shape it can have."""
        open_slots = self._open()
        chosen: dict[tuple[Any, ...], list[tuple[FoundParameter, str]]] = {}
        for entry in entries:
            best: tuple[tuple[int, int, int], ExpectedParameter, str] | None = None
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

    def _byshown(self) -> None:
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
        groups: dict[tuple[bool, tuple[int, ...]], list[ExpectedParameter]] = {}
        for slot in self._in_one_piece_or_parts():
            groups.setdefault((slot.layered, slot.shape), []).append(slot)
        for (layered, _), wanted in groups.items():
            fitting = [t for t in self._mains() if t.layered == layered and self._can_be(wanted[0], t)]
            if len(fitting) != len(wanted):
                continue
            if len(wanted) > 1:
                self.ordered.append(
                    tuple((slot.name, theirs.pattern) for slot, theirs in zip(wanted, fitting, strict=True))
                )
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

    def _in_one_piece_or_parts(self) -> list[ExpectedParameter]:
        """Required tensors that are not found; of one that is kept in parts, the parts where nothing has its whole shape."""
        found, open_slots = [], [s for s in self._open() if not s.optional]
        for slot in open_slots:
            parted = any(s.path == slot.path and s.part is not None for s in self.ours)
            whole = next(s for s in self.ours if s.path == slot.path and s.part is None)
            in_one = any(self._can_be(whole, t) and t.layered == whole.layered for t in self._mains())
            if not parted or (slot.part is None) == in_one:
                found.append(slot)
        return found

    def _mains(self) -> list[FoundParameter]:
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

    def _can_be(self, slot: ExpectedParameter, theirs: FoundParameter) -> bool:
        kinds = {way.kind for way in ways(slot, theirs.shape)}
        if len(slot.shape) == 2 and len(theirs.shape) == 2 and not isinstance(theirs.owner, nn.Embedding):
            if type(theirs.owner).__name__ == "Conv1D":
                kinds -= {"as is"} if slot.shape[0] != slot.shape[1] else set()
            elif _is_a_layer_of_torch(theirs.owner):
                kinds -= {"turned"}
        return bool(kinds)

    def _not_found(self) -> tuple[list[ExpectedParameter], list[str]]:
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
                    f"{entry.pattern} is named like {slot.label}, but is {shown(entry.shape)} where that is "
                    f"{shown(slot.shape)}: does the factory build it with config.{' and config.'.join(slot.sizes)}?"
                )

    # layouts

    def _laid_out(self) -> list[Match]:
        decided: list[tuple[FoundParameter, str]] = []
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
                    f"{theirs.pattern} is {shown(theirs.shape)}, but {slot.label} is {shown(slot.shape)}"
                )
                continue
            way, why = fitting[0], ""
            if {"as is", "turned"} <= {w.kind for w in fitting}:
                kind, why = self._square(theirs, decided)
                way = next(w for w in fitting if w.kind == kind)
            found.append(Match(slot, theirs, way, "; ".join(filter(None, (note, why)))))
        order = {(s.path, s.part): i for i, s in enumerate(self.ours)}
        return sorted(found, key=lambda m: order[(m.slot.path, m.slot.part)])

    def _square(self, theirs: FoundParameter, decided: Sequence[tuple[FoundParameter, str]]) -> tuple[str, str]:
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


def _last(theirs: FoundParameter) -> str:
    return theirs.pattern.rpartition(".")[2]
