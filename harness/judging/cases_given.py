"""What became of the cases that were generated for a component: which of them the implementation takes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from harness.core.case import Case

SIZES = re.compile(r"\[[\d, ]+\]")
"""Shapes in a reason: the same reason holds at many sizes."""


@dataclass
class CasesGiven:
    """The generated cases of a component, and those of them that the implementation does not take, with the reasons."""

    generated: tuple[Case, ...]
    refused: list[tuple[Case, str]] = field(default_factory=list)
    wanted: int = 0
    """How many were to be given."""

    @property
    def given(self) -> tuple[Case, ...]:
        """Those that it takes."""
        refused = {case.key for case, _ in self.refused}
        return tuple(case for case in self.generated if case.key not in refused)

    def keep(self, chosen: tuple[Case, ...]) -> None:
        """Of those that it takes only these are used: the others count as never generated."""
        kept = {case.key for case in (*chosen, *(case for case, _ in self.refused))}
        self.generated = tuple(case for case in self.generated if case.key in kept)

    def reasons(self) -> dict[str, int]:
        """Each reason with its number of cases, the most frequent first."""
        return dict(Counter(SIZES.sub("[...]", reason) for _, reason in self.refused).most_common())
