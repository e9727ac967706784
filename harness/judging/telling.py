"""The telling set of a component: a few chosen cases that tell its known mistakes from the reference and each other.

``specs/cases/<component>.json`` holds what regenerates each case: the seed of a single draw, and sizes that are set. A
fingerprint of each case shows whether the strategy, or what draws from it, is still the one that it was chosen from.
`plumbline cases` makes and verifies the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import torch

from harness.core.case import Case, Chosen
from harness.core.contract import Contract
from harness.core.tree import dotted, leaves
from harness.judging.catalogue import load_catalogue
from harness.project.epsilon import unchanged
from harness.strategies.sampling import single

FOLDER = Path(__file__).resolve().parents[2] / "specs" / "cases"


@dataclass(frozen=True)
class TellingCase:
    """One chosen case, by the numbers that regenerate it.

    ``sizes``: those that are set. ``looks``: the case in words. ``tells``: the known mistakes and legal forms that give
    other numbers on it than the reference does. ``needed_by``: claims that say something on few cases, this one among
    them, or that their own mistake breaks on few.
    """

    seed: int
    fingerprint: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    looks: str = ""
    tells: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()

    def drawn(self, strategy: Any) -> Case | None:
        """The case; None where this strategy gives another one, or none."""
        try:
            case = single(strategy, self.seed, self.sizes)
        except Exception:  # whatever a strategy of other sizes raises
            return None
        return case if case is not None and fingerprint(case) == self.fingerprint else None

    def moved(self, plain: Any, strategy: Any) -> Case | None:
        """The case of a strategy that changes what a plain one draws (another default of epsilon)."""
        return None if self.drawn(plain) is None else single(strategy, self.seed, self.sizes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without what is empty."""
        values = {"seed": self.seed, "sizes": dict(self.sizes), "looks": self.looks, "fingerprint": self.fingerprint}
        values.update(needed_by=list(self.needed_by), tells=list(self.tells))
        return {name: value for name, value in values.items() if value not in ({}, [], "")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TellingCase:
        """From what ``as_dict`` gives. Raises KeyError or TypeError where it is something else."""
        tells, needed_by = tuple(values.get("tells", ())), tuple(values.get("needed_by", ()))
        sizes = dict(values.get("sizes", {}))
        return cls(int(values["seed"]), values["fingerprint"], sizes, values.get("looks", ""), tells, needed_by)


@dataclass(frozen=True)
class TellingSet:
    """The chosen cases of a component, those that tell most first, and of each claim with a strategy of its own."""

    component: str
    cases: tuple[TellingCase, ...] = ()
    claims: Mapping[str, tuple[TellingCase, ...]] = field(default_factory=dict)

    def of(self, claim: str) -> tuple[TellingCase, ...]:
        """The chosen cases of a claim's own strategy."""
        return self.claims.get(claim, ())

    @property
    def told_by(self) -> dict[str, list[int]]:
        """The known mistakes and legal forms, each with the numbers of the cases that tell it."""
        names = sorted({name for case in self.cases for name in case.tells})
        return {name: [n for n, case in enumerate(self.cases) if name in case.tells] for name in names}

    def text(self) -> str:
        """As the file holds it: a line for each case, and for each mistake the numbers of the cases that tell it."""
        cases = [replace(case, tells=()) for case in self.cases]
        claims = {name: cases for name, cases in sorted(self.claims.items()) if cases}
        blocks = [f'"component": {json.dumps(self.component)}', f'"cases": {_lines(cases, 2)}']
        tells = ",\n".join(f"    {json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in self.told_by.items())
        blocks += [f'"tells": {{\n{tells}\n  }}'] if tells else []
        own = ",\n".join(f"    {json.dumps(name)}: {_lines(cases, 4)}" for name, cases in claims.items())
        blocks += [f'"claims": {{\n{own}\n  }}'] if own else []
        return "{\n  " + ",\n  ".join(blocks) + "\n}\n"

    @classmethod
    def from_dict(cls, component: str, values: Mapping[str, Any]) -> TellingSet:
        """From what a file holds. Raises KeyError, TypeError or AttributeError where it is something else."""
        told = values.get("tells", {})
        cases = [
            replace(TellingCase.from_dict(case), tells=tuple(name for name, numbers in told.items() if n in numbers))
            for n, case in enumerate(values["cases"])
        ]
        claims = {name: tuple(map(TellingCase.from_dict, cases)) for name, cases in values.get("claims", {}).items()}
        return cls(component, tuple(cases), claims)

    def save(self, folder: Path = FOLDER) -> None:
        """Write the file."""
        folder.mkdir(exist_ok=True)
        (folder / f"{self.component}.json").write_text(self.text(), encoding="utf-8")


def _lines(cases: Sequence[TellingCase], indent: int) -> str:
    rows = ",\n".join(" " * (indent + 2) + json.dumps(case.as_dict(), ensure_ascii=False) for case in cases)
    return f"[\n{rows}\n{' ' * indent}]" if rows else "[]"


def telling_set(component: str, folder: Path = FOLDER) -> TellingSet:
    """The telling set of a component; an empty one where there is no readable file: cases are fresh ones then."""
    try:
        return TellingSet.from_dict(component, json.loads((folder / f"{component}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return TellingSet(component)


def chosen_cases(contract: Contract, strategy: Callable[[], Any]) -> tuple[tuple[Case, ...], str]:
    """The cases that were chosen from a strategy: of a component, or of claims that have it as their own.

    Empty where the strategy is not the sheet's, as of a component that is run on a whole model. The text says how many
    cannot be had: none, as a rule.
    """
    return _chosen(contract.name, strategy)


def chosen_draws(contract: Contract, strategy: Callable[[], Any]) -> list[tuple[int, Mapping[str, int]]]:
    """What regenerates the same cases: a seed and set sizes each. Those of which no size is set go first: they are
    small."""
    draws = [(entry.seed, entry.sizes) for entry in _entries(contract.name, strategy)]
    return sorted(draws, key=lambda draw: bool(draw[1]))


@cache
def _chosen(component: str, strategy: Callable[[], Any]) -> tuple[tuple[Case, ...], str]:
    entries = _entries(component, strategy)
    if not entries:
        return (), ""
    claims = load_catalogue().claims_of(component)
    made, plain = strategy(), None if unchanged(strategy) is strategy else unchanged(strategy)()
    found = []
    for entry in entries:
        case = entry.drawn(made) if plain is None else entry.moved(plain, made)
        if case is not None:
            tests = (claim.test for claim in claims if {claim.name, *claim.aliases} & set(entry.needed_by))
            found.append(replace(case, chosen=Chosen(frozenset(tests), bool(entry.sizes))))
    if len(found) == len(entries):
        return tuple(found), ""
    others = f"{len(entries) - len(found)} of {len(entries)} chosen cases"
    return tuple(found), f"Hypothesis {hypothesis.__version__} makes {others} otherwise; fresh ones take their place"


def _entries(component: str, strategy: Callable[[], Any]) -> tuple[TellingCase, ...]:
    """Whatever was chosen from this strategy, each once. A claim is known by its strategy, not by its name."""
    known = load_catalogue()
    sheet, plain, chosen = known.contracts.get(component), unchanged(strategy), telling_set(component)
    if sheet is None:
        return ()
    found = list(chosen.cases) if plain is sheet.cases else []
    for claim in known.claims_of(component):
        own = claim.cases or (sheet.invalid if "invalid" in claim.tags else None)
        if own is plain:
            found += [entry for name in (claim.name, *claim.aliases) for entry in chosen.of(name)]
    return tuple({(entry.seed, *entry.sizes.items()): entry for entry in found}.values())


def fingerprint(case: Case) -> str:
    """A digest that is the same on every machine: of floating-point tensors it takes three sums, rounded."""
    digest = hashlib.sha1(usedforsecurity=False)
    for call in case.calls:
        digest.update(f"|{call.of}.{call.method}".encode())
        for path, leaf in leaves(dict(call.arguments)):
            digest.update(f"|{dotted(path)}:{_told(leaf)}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def _told(leaf: Any) -> str:
    if not torch.is_tensor(leaf):
        return repr(leaf)
    form = f"{leaf.dtype}{tuple(leaf.shape)}"
    values = leaf.detach().to(torch.float64).reshape(-1)
    places = torch.linspace(1.0, 2.0, max(values.numel(), 1), dtype=torch.float64)[: values.numel()]
    values = values.clamp(-1e300, 1e300)
    size = float(values.abs().sum())
    if not size or size != size:
        return f"{form} {size}"
    shares = (float((values * weight).sum()) / size for weight in (torch.ones_like(places), places))
    return f"{form} {size:.4e} {[round(share, 4) + 0.0 for share in shares]}"
