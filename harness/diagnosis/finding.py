"""What a diagnosis names: known mistakes, and legal variants that were not declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.core.contract import Contract
from harness.core.forms import Variant
from harness.core.mistake import Edit, KnownMistake

VARIANT = "variant="


@dataclass(frozen=True)
class Finding:
    """The known mistakes that together explain every case tried. ``or_else``: others that do so equally well.

    ``is_coarse``: they were found in float32, and in float64 only bring the answers far nearer.
    """

    mistakes: tuple[KnownMistake, ...]
    or_else: tuple[KnownMistake, ...] = ()
    is_coarse: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(mistake.full_name for mistake in self.mistakes)


@dataclass
class Searched:
    """How much was tried for a component that nothing explains, and for how many seconds of processor time."""

    mistakes: int = 0
    together: int = 0
    """Pairs of mistakes, and sets of legal forms."""
    relations: int = 0
    seconds: float = 0.0


def edits_of(mistakes: Iterable[KnownMistake]) -> tuple[Edit, ...]:
    """All edits of several mistakes, each once: a form that two components have is one."""
    return tuple(dict.fromkeys(edit for mistake in mistakes for edit in mistake.edits))


def variants_as_mistakes(contract: Contract) -> list[KnownMistake]:
    """The legal variants of a component as mistakes, named ``component.variant=name``, to be recognised undeclared."""
    numbers = [form.at(number) for form in contract.numbers for number in form.candidates]
    return [form_as_mistake(contract.name, form) for form in (*contract.variants, *numbers) if form.edits]


def form_name(component: str, form: str) -> str:
    """What a legal form is called as a mistake."""
    return f"{component}.{VARIANT}{form}"


def form_as_mistake(component: str, form: Variant, reference: Callable[..., Any] | None = None) -> KnownMistake:
    """A legal form as a mistake: ``component.variant=name``.

    ``reference``: what it is a form of, for one without edits.
    """
    head, *rest = form.edits or (Edit(reference or form_as_mistake),)
    return KnownMistake(
        f"{VARIANT}{form.name}",
        form.sentence,
        head.of,
        head.right,
        head.wrong,
        head.instead,
        tuple(rest),
        component=component,
        variant=form.name,
        axis=form.axis,
    )
