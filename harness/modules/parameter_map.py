"""A finished parameter map: which parameter of a module holds which tensor of the contract, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from torch import nn

from harness.core.errors import near
from harness.modules.expected_parameters import ExpectedParameter
from harness.modules.found_parameters import FoundParameter
from harness.modules.layouts import Arrangement, Layout, shown, ways


class Basis(Enum):
    """What a match rests on. The value says it in a report."""

    NAME = ""
    DECLARED = "as declared"
    COPY = "a copy: given the same numbers"
    NEIGHBOUR = "beside its weight"
    SHAPE = "by its shape alone"
    ORDER = "by its shape; which of several, by their order"
    COMPUTATION = "by its shape; which of several, by what it computes"


class LayoutBasis(Enum):
    """What tells the layout of a parameter. The value says it in a report."""

    SHAPE = ""
    """Its shape, or the type of the layer that owns it."""
    DECLARED = "layout as declared"
    SIBLINGS = "square: laid out as its siblings"
    COMPUTATION = "square: by what it computes"
    USUAL = "square: as arrays without a layer usually are"
    ASSUMED = "square: assumed to be [out, in]"


class Confidence(Enum):
    """How sure a match is."""

    DECLARED = "declared"
    SURE = "sure"
    LIKELY = "likely"
    GUESSED = "guessed"


@dataclass(frozen=True)
class Match:
    """One parameter of the module, and the tensor of the contract that it is given."""

    expected: ExpectedParameter
    found: FoundParameter
    layout: Layout
    basis: Basis = Basis.NAME
    layout_basis: LayoutBasis = LayoutBasis.SHAPE

    @property
    def confidence(self) -> Confidence:
        """The least sure of what it rests on."""
        if self.layout_basis in (LayoutBasis.ASSUMED, LayoutBasis.USUAL) or self.basis is Basis.ORDER:
            return Confidence.GUESSED
        if self.basis in (Basis.SHAPE, Basis.NEIGHBOUR):
            return Confidence.LIKELY
        if self.basis is Basis.DECLARED or self.layout_basis is LayoutBasis.DECLARED:
            return Confidence.DECLARED
        return Confidence.SURE

    @property
    def note(self) -> str:
        """What it rests on, in words; empty where its name and its shape say it all."""
        return "; ".join(filter(None, (self.basis.value, self.layout_basis.value)))

    @property
    def shown_layout(self) -> str:
        """``[out, in]`` or another layout of a matrix; empty for vectors and embedding tables."""
        if len(self.expected.shape) < 2 or isinstance(self.found.owner, nn.Embedding):
            return ""
        kind = self.layout.kind
        return {Arrangement.AS_IS: "[out, in]", Arrangement.TRANSPOSED: "[in, out]"}.get(kind, kind.value)


class Row(NamedTuple):
    """One line of the table that ``plumbline doctor`` shows; ``confidence`` is empty where nothing was matched."""

    name: str
    parameter: str
    shape: str
    layout: str
    note: str
    confidence: str = ""


@dataclass
class Plan:
    """The parameters of a module, matched with the tensors of a contract."""

    matches: list[Match] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    """Optional tensors of the contract that the module does not have."""
    missing: tuple[ExpectedParameter, ...] = ()
    """Tensors of the contract that were not found."""
    surplus: tuple[FoundParameter, ...] = ()
    """Parameters of the module that match nothing."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    contract: str = ""
    unplaced: tuple[ExpectedParameter, ...] = ()
    """Absent ones whose shape a surplus parameter has."""
    kept: tuple[str, ...] = ()
    """Surplus parameters of a module that is judged all the same: biases are set to zero, others stay as built."""
    ordered: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Groups of (name in the contract, parameter) that only their order tells apart."""
    lacking: tuple[ExpectedParameter, ...] = ()
    """Tensors of the contract that a module which is judged all the same does not have."""

    @property
    def fine(self) -> bool:
        """Whether every parameter and every required tensor found its counterpart."""
        return not (self.missing or self.surplus or self.problems)

    def rows(self) -> list[Row]:
        """The table: what was matched, then what was not."""
        found = [
            Row(m.expected.label, m.found.pattern, shown(m.found.shape), m.shown_layout, m.note, m.confidence.value)
            for m in self.matches
        ]
        unplaced = {slot.name for slot in self.unplaced}
        found += [
            Row(name, "-", "", "", "the module has none; judged without it")
            for name in self.absent
            if name not in unplaced
        ]
        for slots, parameter, note in (
            (self.unplaced, "?", "optional; not found in the module"),
            (self.missing, "?", "not found in the module"),
            (self.lacking, "-", "the module has none; judged as it is"),
        ):
            found += [Row(slot.label, parameter, shown(slot.shape), "", note) for slot in slots]
        beside = "not part of the component; biases are set to zero, others stay as built"
        found += [Row("-", name, "", "", beside) for name in self.kept]
        found += [Row("?", extra.pattern, shown(extra.shape), "", "matches nothing") for extra in self.surplus]
        return found

    def refusal(self) -> str:
        """Why the module cannot be checked: the table, and the line that would fix it."""
        lines = [f"the module's parameters cannot be matched with those of {self.contract}:", ""]
        lines += _table(self.rows())
        lines += ["", *self.problems] if self.problems else ["", self._fix()]
        return "\n".join(lines)

    def _fix(self) -> str:
        if not self.missing and not self.unplaced:
            names = ", ".join(extra.pattern for extra in self.surplus)
            return (
                f"{self.contract} has no parameter for {names}: the module computes something else. "
                "If it is not learned, make it a buffer (register_buffer)."
            )
        wanted = [*dict.fromkeys(replace(slot, part=None, parts=()) for slot in self.missing), *self.unplaced]
        pairs = []
        for slot in wanted:
            fitting = [extra.local[0] for extra in self.surplus if ways(slot, extra.shape)]
            sure = fitting if len(fitting) == 1 else near(slot.name, fitting)[:1]
            pairs.append(f'"{slot.name}": {repr(sure[0]) if sure else "..."}')
        yours = ", ".join(extra.local[0] for extra in self.surplus) or "none left"
        declaration = f'@implements("{self.contract}", names={{{", ".join(pairs)}}})'
        return f"Say which is which: {declaration}. Your parameters without a match: {yours}"


def _table(rows: Sequence[Row]) -> list[str]:
    every = [Row("contract", "yours", "shape", "layout", ""), *rows]
    widths = [max(len(row[i]) for row in every) for i in range(4)]
    return ["  " + "  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row.note]).rstrip() for row in every]
