"""The state of a match under way: what is matched so far, and what is left on both sides."""

from __future__ import annotations

from typing import NamedTuple

from harness.core.contract import Contract
from harness.modules.expected_parameters import ExpectedParameter
from harness.modules.found_parameters import FoundParameter
from harness.modules.parameter_map import Basis


class Pair(NamedTuple):
    """A tensor of the contract, a parameter of the module, and what the match rests on."""

    expected: ExpectedParameter
    found: FoundParameter
    basis: Basis


class PartialMatch:
    """What each step of the matching reads and adds to. ``layout``: of square matrices, where a person declared it."""

    def __init__(
        self,
        contract: Contract,
        expected: list[ExpectedParameter],
        found: list[FoundParameter],
        layout: str | None,
    ) -> None:
        self.contract, self.expected, self.found, self.layout = contract, expected, found, layout
        self.pairs: list[Pair] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.ordered: list[tuple[tuple[str, str], ...]] = []

    def add(self, expected: ExpectedParameter, found: FoundParameter, basis: Basis) -> None:
        """Match these two."""
        self.pairs.append(Pair(expected, found, basis))

    def note_copy(self, entry: FoundParameter, first: FoundParameter) -> None:
        """Say that one parameter is another once more, as far as the contract goes."""
        self.notes.append(
            f"{entry.pattern} and {first.pattern} are two tensors where {self.contract.name} has one; "
            "both are given the same numbers"
        )

    def free(self) -> list[FoundParameter]:
        """Parameters of the module that nothing is matched with."""
        taken = {name for pair in self.pairs for name in pair.found.names}
        return [entry for entry in self.found if not taken.intersection(entry.names)]

    def open(self) -> list[ExpectedParameter]:
        """Tensors of the contract, and parts of them, that nothing is matched with: neither the whole nor the part."""
        whole = {path for pair in self.pairs if pair.expected.part is None for path in pair.expected.members}
        parts = {(pair.expected.path, pair.expected.part) for pair in self.pairs if pair.expected.part is not None}
        begun = {path for path, _ in parts}
        taken = whole | begun
        return [
            s
            for s in self.expected
            if not taken.intersection(s.members if s.joined else ())
            and s.path not in whole
            and (s.path, s.part) not in parts
            and not (s.part is None and s.path in begun)
        ]

    def not_found(self) -> tuple[list[ExpectedParameter], list[str]]:
        """(tensors that must be there and are not, names of optional ones that are not there)."""
        missing, absent = [], []
        begun = {pair.expected.path for pair in self.pairs}
        for slot in self.open():
            if slot.joined:
                continue  # its tensors are missing, or not, one by one
            if slot.part is not None:
                if slot.path in begun:
                    missing.append(slot)
            elif slot.optional:
                absent.append(slot.name)
            else:
                missing.append(slot)
        return missing, list(dict.fromkeys(absent))
