"""What a diagnosis names: known mistakes, and legal variants that were not declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.core.contract import Contract
from harness.core.mistake import Edit, KnownMistake


@dataclass(frozen=True)
class Finding:
    """The known mistakes that together explain every case tried. ``or_else``: others that do so equally well."""

    mistakes: tuple[KnownMistake, ...]
    or_else: tuple[KnownMistake, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(mistake.full_name for mistake in self.mistakes)


def edits_of(mistakes: Iterable[KnownMistake]) -> tuple[Edit, ...]:
    """All edits of several mistakes."""
    return tuple(edit for mistake in mistakes for edit in mistake.edits)


def variants_as_mistakes(contract: Contract) -> list[KnownMistake]:
    """The legal variants of a component as mistakes, named ``component.variant=name``, to be recognised undeclared."""
    found = []
    for variant in contract.variants:
        if not variant.edits:
            continue
        head, *rest = variant.edits
        mistake = KnownMistake(
            f"variant={variant.name}",
            variant.sentence,
            head.of,
            head.right,
            head.wrong,
            head.instead,
            tuple(rest),
            variant=variant.name,
        )
        found.append(mistake.within(contract.name))
    return found
