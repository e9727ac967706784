"""A finished mapping: what a person sees of it, and how a module is given the numbers of one call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from harness.core.errors import CannotMatch, OtherSize, near
from harness.modules.expected_parameters import LAYER, STACKED, ExpectedParameter
from harness.modules.found_parameters import FoundParameter, is_like_a_buffer
from harness.modules.layouts import Layout, laid_out, shown, ways


@dataclass(frozen=True)
class Match:
    """One parameter of the module and the tensor it is given."""

    slot: ExpectedParameter
    theirs: FoundParameter
    way: Layout
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
    missing: tuple[ExpectedParameter, ...] = ()
    surplus: tuple[FoundParameter, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    contract: str = ""
    unplaced: tuple[ExpectedParameter, ...] = ()
    """Absent ones whose shape a parameter has that matches nothing."""
    kept: tuple[str, ...] = ()
    """Parameters beside the contract's: biases are zero, others stay as they were built."""
    ordered: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Groups of (our name, theirs) that were told apart by their order alone."""
    lacking: tuple[ExpectedParameter, ...] = ()
    """Tensors of the contract that a module which is judged all the same does not have."""

    @property
    def fine(self) -> bool:
        return not (self.missing or self.surplus or self.problems)

    def rows(self) -> list[Row]:
        """What was matched, then what was not."""
        found = [
            Row(m.slot.label, m.theirs.pattern, shown(m.theirs.shape), m.layout, m.note, m.confidence)
            for m in self.matches
        ]
        doubtful = {slot.name for slot in self.unplaced}
        without = [name for name in self.absent if name not in doubtful]
        found += [Row(name, "-", "", "", "the module has none; judged without it") for name in without]
        found += [
            Row(slot.label, "?", shown(slot.shape), "", "optional; not found in the module") for slot in self.unplaced
        ]
        found += [Row(slot.label, "?", shown(slot.shape), "", "not found in the module") for slot in self.missing]
        found += [
            Row(slot.label, "-", shown(slot.shape), "", "the module has none; judged as it is") for slot in self.lacking
        ]
        found += [
            Row("-", name, "", "", "no part of the component; biases are zero, others as built") for name in self.kept
        ]
        found += [Row("?", theirs.pattern, shown(theirs.shape), "", "matches nothing") for theirs in self.surplus]
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
    left = [name for name, tensor in live.items() if id(tensor) not in done and not is_like_a_buffer([name])]
    if left:
        raise CannotMatch(
            f"at these sizes the module has parameters that it does not have at others: {', '.join(left)}"
        )
    return given


def _laid_out_or_refused(value: Tensor, match: Match, shape: tuple[int, ...]) -> Tensor:
    try:
        return laid_out(value, match.way, shape)
    except ValueError:
        text = f"its {match.theirs.pattern} is {shown(shape)} where {match.slot.label} is {shown(tuple(value.shape))}"
        raise OtherSize(f"{text}; was the module built with the sizes of config?", match.slot.sizes) from None


def _holders(slot: ExpectedParameter, arguments: Mapping[str, Any]) -> Iterator[tuple[int | None, Any]]:
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


def _names(theirs: FoundParameter, layer: int | None, live: Mapping[str, Tensor]) -> list[str]:
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
