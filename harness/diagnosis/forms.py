"""Legal forms that were not declared, several at once: which of their combinations gives these answers.

Forms with a name are few; a form that is a number is tried with the numbers of the implementation's own source and
with those of published models. Combinations are tried from the likeliest on: few forms before many; numbers whose name
says what they are before those of the definition itself, those before published ones, and those before the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.core.contract import Contract
from harness.core.forms import NumberForm
from harness.core.mistake import KnownMistake
from harness.diagnosis.finding import form_as_mistake
from harness.diagnosis.literals import Literal

NAMED, NEAR, PUBLISHED, FAR = 1, 2, 3, 4
"""How unlikely a number is, by where it comes from; a form with a name costs 1."""
TOGETHER = 5
"""At most so many forms at once."""
DEAREST = 9
"""Combinations whose forms cost more together are not tried."""
COMBINATIONS = 6_000
"""At most so many."""


class Candidate(NamedTuple):
    """A form that may be meant, and how unlikely it is."""

    form: KnownMistake
    cost: int

    @property
    def place(self) -> str:
        """Where only one form can be meant."""
        return place_of(self.form)


def place_of(form: KnownMistake) -> str:
    """The axis of a form, which all components share; the component where it stands on none."""
    return form.axis or f"{form.component}."


def candidates(contracts: Iterable[Contract], literals: Mapping[str, Sequence[Literal]]) -> list[Candidate]:
    """The forms of these components, the likeliest first. ``literals``: by component.

    A form that several of them have is that of the first: a whole before its parts. What changes the parts alone is
    less likely than what changes the whole itself: the parts' forms were found with the parts.
    """
    contracts = list(contracts)
    found: dict[tuple[str, str], Candidate] = {}
    for contract in contracts:
        made = [(variant, 1) for variant in contract.variants]
        for form in contract.numbers:
            made += [(form.at(number), cost) for number, cost in _numbers(form, literals.get(contract.name, ()))]
        for variant, cost in made:
            if variant.edits:
                is_own = any(edit.of is contracts[0].reference for edit in variant.edits)
                candidate = Candidate(form_as_mistake(contract.name, variant), cost if is_own else cost + 1)
                found.setdefault((candidate.place, variant.name_on_axis), candidate)
    return sorted(found.values(), key=lambda candidate: candidate.cost)


def _numbers(form: NumberForm, literals: Sequence[Literal]) -> list[tuple[float, int]]:
    """The numbers that a form may have, each once, and how unlikely each is."""
    costs = [(number, PUBLISHED) for number in form.candidates]
    for literal in literals:
        cost = NAMED if form.is_called(literal.name) else NEAR if literal.is_near else FAR
        costs += [(number, cost) for number in form.meant_by(literal.number) if form.allows(number)]
    cheapest: dict[float, int] = {}
    for number, cost in sorted(costs, key=lambda pair: pair[1]):
        cheapest.setdefault(number, cost)
    return list(cheapest.items())


def combinations(
    found: Sequence[Candidate], known: Sequence[tuple[KnownMistake, ...]] = ()
) -> Iterator[tuple[KnownMistake, ...]]:
    """Sets of forms to try, the likeliest first: single ones, then several on different axes.

    ``known``: forms that were found in the parts, which are tried alone, and with each set too.
    """
    bases = list(dict.fromkeys([(), *known]))
    yield from filter(None, bases)  # with a form that changes nothing they would be right, too
    made = 0
    for cost in range(1, DEAREST + 1):
        for chosen in _of_cost(found, cost, ()):
            for base in bases:
                own = [candidate.form for candidate in chosen if candidate.form not in base]
                if len(own) == len(chosen) and not _clash(base, chosen):
                    made += 1
                    yield (*base, *own)
            if made > COMBINATIONS:
                return


def as_of_the_whole(base: tuple[KnownMistake, ...], found: Sequence[Candidate]) -> tuple[KnownMistake, ...]:
    """What was found in the parts, each form as the whole itself has it where it has one of this name."""
    own = {(candidate.place, candidate.form.variant): candidate.form for candidate in found}
    return tuple(dict.fromkeys(own.get((place_of(form), form.variant), form) for form in base))


def _of_cost(found: Sequence[Candidate], cost: int, taken: tuple[Candidate, ...]) -> Iterator[tuple[Candidate, ...]]:
    """Sets of candidates on different axes that cost this much together, each once."""
    for place, candidate in enumerate(found):
        if candidate.cost > cost:
            return
        if any(candidate.place == other.place for other in taken):
            continue
        if candidate.cost == cost:
            yield (*taken, candidate)
        elif len(taken) + 1 < TOGETHER:
            yield from _of_cost(found[place + 1 :], cost - candidate.cost, (*taken, candidate))


def _clash(base: Iterable[KnownMistake], chosen: Iterable[Candidate]) -> bool:
    """Whether a set has a form on an axis on which a part's finding has one already."""
    places = {place_of(form) for form in base}
    return any(candidate.place in places for candidate in chosen)
