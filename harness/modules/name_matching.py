"""Matches by name: what a person declared, what published modules call it, and a bias beside its weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import nn

from harness.core.errors import near
from harness.modules.expected_parameters import LAYER, ExpectedParameter
from harness.modules.found_parameters import FoundParameter, stacks
from harness.modules.layouts import shown, ways, with_rows_before
from harness.modules.parameter_map import Basis
from harness.modules.partial_match import PartialMatch

BIAS, WEIGHT = "bias", "weight"
TYPE_RANK = (0, 0, 0)
"""That of a match by type alone: any name that fits ranks higher."""
SlotKey = tuple[tuple[str, ...], int | None]
"""The path of a tensor of the contract, and which part of it."""
BIAS_NAMES = (BIAS, "b", "shift", "beta")
"""Last names of a bias in a module."""


def match_declared(state: PartialMatch, names: Mapping[str, str | Sequence[str]]) -> None:
    """What ``names=`` or plumbline.map.toml declares. A name that is not there is a problem of the plan."""
    for name, given in names.items():
        wanted = [given] if isinstance(given, str) else list(given)
        slots = [s for s in state.expected if s.name == name]
        whole = next((s for s in slots if s.part is None), None)
        parts = [s for s in slots if s.part is not None]
        in_parts = len(wanted) > 1 and len(parts) == len(wanted)
        for i, suffix in enumerate(wanted):
            entry = _declared_parameter(state, name, suffix.rpartition(f"{LAYER}.")[2])
            slot = parts[i] if in_parts else whole
            if entry is not None and slot is not None:
                state.add(slot, entry, Basis.DECLARED)


def _declared_parameter(state: PartialMatch, name: str, suffix: str) -> FoundParameter | None:
    """The one free parameter of this name; None, and a problem noted, where there is none or there are several."""
    free = state.free()
    hits = [entry for entry in (*free, *stacks(free)) if any(_ends(local, suffix) for local in entry.local)]
    exact = [entry for entry in hits if suffix in entry.local] or hits
    if len(exact) == 1:
        return exact[0]
    known = [entry.local[0] for entry in state.found]
    hint = ", ".join(near(suffix, known, 0.3)) or ", ".join(known[:6])
    count = "no parameter" if not exact else f"{len(exact)} parameters"
    state.problems.append(
        f"names= says that {name} is {suffix!r}, but the module has {count} of that name (it has: {hint})"
    )
    return None


def match_by_name(state: PartialMatch, entries: Sequence[FoundParameter]) -> None:
    """Each parameter goes to the slot with the longest fitting name, among those whose shape it can have.

    An embedding of another name is known by its type: it goes to the one table that has its shape.
    One that is known under several names (a tied head) goes to a slot that must be filled, if one of them fits there.
    """
    open_slots = state.open()
    chosen: dict[SlotKey, list[tuple[FoundParameter, str]]] = {}
    fits_of: dict[str, list[tuple[AliasFit, ExpectedParameter]]] = {}
    for entry in entries:
        fits = [
            (fit, slot)
            for slot in open_slots
            if slot.layered == entry.layered and _can_be(slot, entry) and (fit := longest_alias(entry, slot.aliases))
        ]
        is_named = any(longest_alias(entry, slot.aliases) for slot in open_slots if not slot.layered)
        if not fits and not is_named and (table := _only_table(entry, open_slots)) is not None:
            fits = [(AliasFit(TYPE_RANK, entry.pattern), table)]
        if fits:
            best, slot = max(fits, key=lambda pair: _preference(entry, *pair))
            fits_of[entry.pattern] = fits
            chosen.setdefault((slot.path, slot.part), []).append((entry, best.alias))
    _spread(chosen, fits_of)
    _fill_required(chosen, fits_of)
    for slot in open_slots:
        fitting = chosen.get((slot.path, slot.part), [])
        if len({alias for _, alias in fitting}) < len(fitting):
            continue  # several of one name: pieces of it, or not to be told apart
        for i, (entry, _) in enumerate(fitting):
            if entry.shape != fitting[0][0].shape and "vocab_size" not in slot.sizes:
                continue  # of the same name in another layout: another tensor, and no copy (a head may be turned)
            if i > 0:
                state.note_copy(entry, fitting[0][0])
            state.add(slot, entry, Basis.COPY if i > 0 else Basis.NAME)


def _can_be(slot: ExpectedParameter, entry: FoundParameter) -> bool:
    return bool(ways(slot, entry.shape) or with_rows_before(slot, entry.shape, entry.owner))


def _only_table(entry: FoundParameter, slots: Sequence[ExpectedParameter]) -> ExpectedParameter | None:
    """The one required matrix with the shape of an embedding; None where there are more, or where it is none."""
    if not isinstance(entry.owner, nn.Embedding):
        return None
    fitting = [s for s in slots if not s.optional and s.part is None and not s.layered and s.shape == entry.shape]
    return fitting[0] if len(fitting) == 1 and len(entry.shape) == 2 and not entry.layered else None


def _spread(
    chosen: dict[SlotKey, list[tuple[FoundParameter, str]]],
    fits_of: Mapping[str, list[tuple[AliasFit, ExpectedParameter]]],
) -> None:
    """Of several parameters for one slot, one that may be in another slot, which nothing is in, goes there."""
    for here in list(chosen):
        several = len({alias for _, alias in chosen[here]}) == len(chosen[here])  # not pieces of one
        for pair in list(chosen[here]) if several else ():
            others = [(fit, s) for fit, s in fits_of[pair[0].pattern] if (s.path, s.part) not in chosen]
            if others and len(chosen[here]) > 1:
                fit, slot = max(others, key=lambda other: other[0].rank)
                chosen[here].remove(pair)
                chosen[(slot.path, slot.part)] = [(pair[0], fit.alias)]


def _preference(entry: FoundParameter, fit: AliasFit, slot: ExpectedParameter) -> tuple[bool, bool, tuple[int, ...]]:
    """How likely a slot is: a tied head is required; the weight of a Linear is [out, in] whatever its name."""
    as_it_lies = not isinstance(entry.owner, nn.Linear) or slot.shape == entry.shape
    return bool(entry.others) and not slot.optional, as_it_lies, fit.rank


def _fill_required(
    chosen: dict[SlotKey, list[tuple[FoundParameter, str]]],
    fits_of: Mapping[str, list[tuple[AliasFit, ExpectedParameter]]],
) -> None:
    """What is in a slot that may be empty goes to one of its name that may not, and is: without a gate, fc1 goes up."""
    optional = {(s.path, s.part) for fits in fits_of.values() for _, s in fits if s.optional}
    for here in [key for key in chosen if key in optional and len(chosen[key]) == 1]:
        (entry, _), *_ = chosen[here]
        wanting = [(f, s) for f, s in fits_of[entry.pattern] if not s.optional and (s.path, s.part) not in chosen]
        if wanting:
            fit, slot = max(wanting, key=lambda pair: _preference(entry, *pair))
            del chosen[here]
            chosen[(slot.path, slot.part)] = [(entry, fit.alias)]


def match_biases(state: PartialMatch) -> None:
    """A bias whose weight is matched is the one bias in the same layer of the module."""
    for slot, home in biases_beside(state):
        fitting = [t for t in state.free() if _home(t) == home and ways(slot, t.shape)]
        biases = [t for t in fitting if t.pattern.rpartition(".")[2] in BIAS_NAMES]
        if len(biases) == 1:
            state.add(slot, biases[0], Basis.NEIGHBOUR)


def biases_beside(state: PartialMatch) -> Iterable[tuple[ExpectedParameter, str]]:
    """Each open bias whose weight is matched, with the module that owns that weight."""
    for slot in state.open():
        for other, found, _ in list(state.pairs):
            if is_bias_of(slot, other) and slot in state.open():
                yield slot, _home(found)


def is_bias_of(bias: ExpectedParameter, weight: ExpectedParameter) -> bool:
    """Whether the contract names these two as the bias and the weight of one layer: ``up_bias`` and ``up_weight``."""
    same_place = (bias.path[:-1], bias.part) == (weight.path[:-1], weight.part)
    stem = bias.name.removesuffix(BIAS)
    return same_place and stem != bias.name and weight.name == f"{stem}{WEIGHT}"


def note_other_sizes(state: PartialMatch) -> None:
    """Parameters that are named like a tensor which was not found, but have another shape, are problems of the plan."""
    for entry in state.free():
        named = [
            (fit, slot)
            for slot in state.open()
            if slot.layered == entry.layered and (fit := longest_alias(entry, slot.aliases))
        ]
        if named:
            slot = max(named, key=lambda pair: pair[0].rank)[1]
            state.problems.append(
                f"{entry.pattern} is named like {slot.label}, but is {shown(entry.shape)} where that is "
                f"{shown(slot.shape)}: does the factory build it with config.{' and config.'.join(slot.sizes)}?"
            )


class AliasFit(NamedTuple):
    """An alias in which a name ends. ``rank``: more words first, then equal capitals, then more letters."""

    rank: tuple[int, int, int]
    alias: str


def longest_alias(entry: FoundParameter, aliases: Iterable[str]) -> AliasFit | None:
    """The longest alias in which one of the parameter's names ends; where only capitals differ, it ranks lower."""
    fits = []
    for alias in aliases:
        for name in entry.local:
            exact = _ends(name, alias)
            if exact or _ends(name.lower(), alias.lower()):
                fits.append(AliasFit((alias.count(".") + 1, int(exact), len(alias)), alias))
    return max(fits, key=lambda fit: fit.rank, default=None)


def _ends(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


def _home(entry: FoundParameter) -> str:
    """The path of the module that owns it."""
    return entry.pattern.rpartition(".")[0]
