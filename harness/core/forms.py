"""Legal other forms of a component, and how several that are in force together are written as one text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SEPARATOR = "+"
"""Between the forms of one component: ``rotary_halves+softcap=50``."""
ANY_NUMBER = "=NUMBER"
"""Behind an axis whose forms are numbers, where no number is meant."""


@dataclass(frozen=True)
class Variant:
    """A legal other form of a component, accepted when declared as ``component=name`` or as ``axis=name``.

    ``axis``: what differs (positions, activation). Forms on one axis exclude each other, forms on different axes
    combine; those without an axis share one. ``edits`` turn the reference into it; undeclared, it is recognised and
    named with how to declare it. Without edits it is a form whose numbers are the same, which only the sheet's own
    claims tell apart; or, with ``is_default``, what the contract says as it stands. Cases that the edited reference
    refuses are left out where it is declared. ``tables_in_float32``: as of a Contract, where it is declared.
    ``aliases``: other names that a declaration may use; by the first of them its axis calls it. ``given``: for a form
    of an argument, its name and what makes that form of a call's arguments. Where it is declared, the implementation is
    given that; its edits are what shows while it is not. ``gradients``: for such a form of learned tensors, the last
    name of each and what turns its gradient back into the contract's form, from a call's arguments and the gradient.
    """

    name: str
    sentence: str
    edits: tuple[Any, ...]
    tables_in_float32: bool = False
    axis: str = ""
    aliases: tuple[str, ...] = ()
    is_default: bool = False
    given: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    gradients: Mapping[str, Callable[[Mapping[str, Any], Any], Any]] = field(default_factory=dict)

    @property
    def name_on_axis(self) -> str:
        """What it is called beside the forms of other components on its axis."""
        return self.aliases[0] if self.aliases else self.name


@dataclass(frozen=True)
class NumberForm:
    """A legal other form that is a number, such as a cap on scores: declared as ``axis=number``.

    ``sentence`` holds ``{}`` where the number belongs. ``edits(number)`` turn the reference into it. ``candidates``:
    numbers that published models use, which the diagnosis tries. ``default``: the number of the contract as it stands,
    if it has one. Numbers are larger than ``above``; ``whole`` ones are integers. ``hints``: what the name of
    such a number contains in published code, without underscores. ``meant_by(literal)``: the numbers that a number in
    somebody's source may stand for (a size of which they take the root, say).
    """

    axis: str
    sentence: str
    edits: Callable[[float], tuple[Any, ...]]
    candidates: tuple[float, ...] = ()
    default: float | None = None
    above: float = 0.0
    whole: bool = False
    hints: tuple[str, ...] = ()
    meant_by: Callable[[float], tuple[float, ...]] = lambda number: (number,)

    def at(self, number: float) -> Variant:
        """The form with this number. Raises ValueError, saying what is allowed, where it is not."""
        if not self.allows(number):
            raise ValueError(f"{self.axis} is {self.allowed}, not {number_text(number)}")
        is_default = number == self.default
        edits = () if is_default else self.edits(int(number) if self.whole else float(number))
        shown = number_text(number)
        return Variant(
            f"{self.axis}={shown}", self.sentence.format(shown), edits, axis=self.axis, is_default=is_default
        )

    def is_called(self, name: str) -> bool:
        """Whether a name in somebody's source says that a number is this one."""
        return any(hint in name.replace("_", "").lower() for hint in self.hints)

    def allows(self, number: float) -> bool:
        """Whether a form with this number exists."""
        return self.above < number < float("inf") and not (self.whole and number != int(number))

    @property
    def allowed(self) -> str:
        """What numbers it takes, in words."""
        return f"{'a whole number' if self.whole else 'a number'} above {number_text(self.above)}"


def number_text(number: float) -> str:
    """The shortest text of a number: ``50`` for 50.0, ``1e-06`` for small ones."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(float(number))


def names_in(text: str) -> list[str]:
    """The names of the forms in one text, in order: ``rotary+softcap=50`` has two. A sign in ``1e+3`` parts nothing."""
    return [name.strip() for name in re.split(r"\+(?=\s*[A-Za-z_])", text) if name.strip()]


def joined(names: Iterable[str]) -> str:
    """The forms of one component as one text."""
    return SEPARATOR.join(names)


def as_number(text: object) -> float | None:
    """The number that a text or a number says; None where it says none."""
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        return None
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class LegalForms:
    """The legal other forms of one component."""

    component: str
    variants: tuple[Variant, ...] = ()
    numbers: tuple[NumberForm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.variants or self.numbers)

    def __str__(self) -> str:
        return ", ".join(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all forms; ``axis=NUMBER`` where any number will do."""
        return (*(v.name for v in self.variants), *(f"{n.axis}{ANY_NUMBER}" for n in self.numbers))

    def named(self, name: str) -> Variant | None:
        """The form of this name or other name; ``axis=number`` for one that is a number. None where there is none."""
        for variant in self.variants:
            if name == variant.name or name in variant.aliases:
                return variant
        axis, equals, value = name.partition("=")
        return self.numbered(axis.strip(), value) if equals else None

    def numbered(self, axis: str, value: object) -> Variant | None:
        """The form of a number on an axis; None where the axis takes no numbers, or not this one."""
        for form in self.numbers:
            number = as_number(value)
            if form.axis == axis and number is not None and form.allows(number):
                return form.at(number)
        return None

    def on(self, axis: str, value: object) -> Variant | None:
        """The form on this axis that a value names, be it a name or a number; None where there is none."""
        named = self.named(value) if isinstance(value, str) else None
        return named if named is not None and named.axis == axis else self.numbered(axis, value)

    def in_text(self, text: str) -> tuple[Variant, ...]:
        """The forms in a text like ``rotary_halves+softcap=50``, in the order in which their edits are made.

        Raises KeyError naming the legal ones where one is none.
        """
        found = {}
        for name in names_in(text):
            form = self.named(name)
            if form is None:
                raise KeyError(f"{self.component} has no variant {name!r}; legal variants: {self or 'none'}")
            found[form.name] = form
        places = [*(v.name for v in self.variants), *(n.axis for n in self.numbers)]
        return tuple(sorted(found.values(), key=lambda f: places.index(f.name if f.name in places else f.axis)))

    def text_of(self, forms: Iterable[Variant]) -> str:
        """Several forms as one text, in the order in which their edits are made."""
        return joined(form.name for form in self.in_text(joined(form.name for form in forms)))

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes that its forms stand on, with the names on each (a number has none); not the empty axis."""
        found: dict[str, tuple[str, ...]] = {form.axis: () for form in self.numbers}
        for variant in self.variants:
            if variant.axis:
                found[variant.axis] = (*found.get(variant.axis, ()), variant.name_on_axis)
        return found


def how_to_declare(pairs: Sequence[str]) -> str:
    """How to say that what looks wrong is meant: ``key=value`` pairs, for a project's table and for the command line.

    Empty where there are none.
    """
    if not pairs:
        return ""
    lines, option = "; ".join(map(table_line, pairs)), ",".join(pairs)
    what = "it, declare it" if len(pairs) == 1 else "this, declare it"
    return f"If you mean {what}: {lines} under [tool.plumbline] in pyproject.toml, or --impl-variant={option}"


def table_line(pair: str) -> str:
    """A pair ``key=value`` as a line of TOML."""
    key, _, value = pair.partition("=")
    return f"{key} = {value}" if as_number(value) is not None else f'{key} = "{value}"'
