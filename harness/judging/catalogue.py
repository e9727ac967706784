"""Everything in the folders: the contracts, the generic claims, the known mistakes."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import harness.claims
from harness.core.claim import About, Claim
from harness.core.contract import Contract
from harness.core.errors import RegistryError
from harness.core.mistake import KnownMistake
from harness.core.registry import scan
from harness.diagnosis.finding import form_as_mistake
from harness.project.names import Names

FORM = ".variant="
"""Between a component and one of its legal forms, where that is named like a mistake."""


@dataclass(frozen=True)
class Catalogue:
    """Everything in the folders: contracts in reading order, generic claims, known mistakes by component."""

    contracts: Mapping[str, Contract]
    claims: Mapping[str, Claim]
    mistakes: Mapping[str, tuple[KnownMistake, ...]]

    def claims_of(self, component: str) -> list[Claim]:
        """The generic claims that fit a component, those that say most first, then its own."""
        contract = self.contracts[component]
        fitting = sorted((c for c in self.claims.values() if c.needs(contract)), key=_says_less)
        return fitting + list(contract.claims)

    def mistake(self, full_name: str) -> KnownMistake:
        """The known mistake ``component.name``, or legal variant ``component.variant=name``. Earlier names work too.

        Raises KeyError with the nearest names where there is none.
        """
        current = self.names().mistake(full_name)
        for mistake in self.all_mistakes():
            if mistake.full_name == current:
                return mistake
        form = self.form(current)
        if form is not None and (form.right or form.instead):
            return form
        names = [mistake.full_name for mistake in self.all_mistakes()]
        near = difflib.get_close_matches(full_name, names, 3, 0.4)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"there are {len(names)}: see `plumbline list --mistakes`"
        )
        raise KeyError(f"no known mistake {full_name!r}; {hint}")

    def form(self, full_name: str) -> KnownMistake | None:
        """The legal form ``component.variant=name`` as a mistake, whatever its number is; None where there is none.

        A form that only the sheet's own claims tell apart has no edits, and can be declared all the same.
        """
        component, separator, name = full_name.partition(FORM)
        contract = self.contracts.get(component) if separator else None
        form = contract.legal.named(name) if contract is not None else None
        if contract is None or form is None or form.is_default:
            return None
        return form_as_mistake(component, form, contract.reference)

    def names(self) -> Names:
        """Today's names of all claims and known mistakes, by their earlier names. A current name is never an earlier
        one."""
        claims = {}
        for component in self.contracts:
            own = self.claims_of(component)
            current = {claim.name for claim in own}
            claims[component] = {old: claim.name for claim in own for old in claim.aliases if old not in current}
        mistakes = self.all_mistakes()
        current = {mistake.full_name for mistake in mistakes}
        earlier = {f"{mistake.component}.{old}": mistake.full_name for mistake in mistakes for old in mistake.aliases}
        return Names(claims, {old: name for old, name in earlier.items() if old not in current})

    def all_mistakes(self) -> list[KnownMistake]:
        """The known mistakes of all components."""
        return [mistake for group in self.mistakes.values() for mistake in group]


def _says_less(claim: Claim) -> int:
    """0 for a comparison of all numbers, 1 for one of all gradients, 2 for the rest."""
    if About.NUMBERS not in claim.about:
        return 2
    return int(About.GRADIENT in claim.about)


def catalogue(specs: ModuleType, mistakes: ModuleType) -> Catalogue:
    """Read the folders. Raises RegistryError naming a file without its object, or a sheet whose name is not its
    file's."""
    contracts = scan(specs, "CONTRACT", Contract)
    for name, contract in contracts.items():
        if contract.name != name:
            raise RegistryError(
                f"specs/{name}.py holds the contract of {contract.name!r}; file and component share one name"
            )
    found = scan(mistakes, "MISTAKES", tuple)
    placed = {name: tuple(mistake.within(name) for mistake in group) for name, group in found.items()}
    for name in placed:
        if name not in contracts:
            raise RegistryError(f"specs/bugs/{name}.py holds mistakes of {name!r}, which has no sheet in specs/")
    return Catalogue(_in_reading_order(contracts), scan(harness.claims, "CLAIM", Claim), placed)


def _in_reading_order(contracts: Mapping[str, Contract]) -> dict[str, Contract]:
    """What the project is known for goes first, with all that it is made of; parts before composites in both halves."""

    def made_of(name: str) -> set[str]:
        parts = [part for part in contracts[name].parts if part in contracts]
        return {name}.union(*(made_of(part) for part in parts))

    first = set().union(*(made_of(name) for name, contract in contracts.items() if contract.headline))
    return dict(sorted(contracts.items(), key=lambda item: (item[0] not in first, item[1].order, item[0])))


@cache
def load_catalogue() -> Catalogue:
    """The catalogue of this project: the one place where the machine finds the sheets, by name, at run time."""
    return catalogue(importlib.import_module("specs"), importlib.import_module("specs.bugs"))


@dataclass(frozen=True)
class Inputs:
    """What a process without the reference may ask of it, see :class:`harness.isolation.oracle.Oracle`."""

    sheets: str
    open_to: Mapping[str, tuple[str, ...]]
    sizes: tuple[str, ...]


def load_inputs() -> Inputs:
    """What the sheets say that inputs are made of."""
    named = importlib.import_module("specs.naming.inputs")
    return Inputs("specs", named.INPUTS, named.SIZES)
