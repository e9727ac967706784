"""What somebody declares of an implementation: legal variants, a fixed epsilon. From pyproject.toml, or in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.contract import Contract
from harness.core.errors import UsageError, did_you_mean
from harness.core.mistake import KnownMistake
from harness.core.record import EXPECTED
from harness.project.epsilon import EPS, epsilon

OPTIONS = ("impl", "require", "baseline", "seed", "effort", "cases", "timeout", "report")
"""Keys of ``[tool.plumbline]`` that are options of a run; the front executor reads them."""


@dataclass(frozen=True)
class Project:
    """The table ``[tool.plumbline]``, and the file it stands in."""

    table: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""


@dataclass(frozen=True)
class Declared:
    """Legal variants by component, and the epsilon of norms that have a fixed one (None: the contract's)."""

    variants: Mapping[str, str] = field(default_factory=dict)
    eps: float | None = None

    def over(self, other: Declared) -> Declared:
        """This, and of the other what this does not say."""
        return Declared({**other.variants, **self.variants}, self.eps if self.eps is not None else other.eps)

    def __str__(self) -> str:
        """As ``--impl-variant`` takes it."""
        pairs = [f"{component}={name}" for component, name in self.variants.items()]
        return ",".join([*pairs, *([f"eps={self.eps!r}"] if self.eps is not None else [])])


def in_project(project: Project, contracts: Mapping[str, Contract]) -> Declared:
    """What the project's table declares. Raises UsageError naming the file and the nearest keys or values."""
    variants, eps = {}, None
    for key, value in project.table.items():
        if key in OPTIONS or key == EXPECTED:
            continue
        where = f"{project.file}, [tool.plumbline]"
        if key in EPS:
            eps = epsilon(value, where)
            continue
        having = [name for name, contract in contracts.items() if contract.variants]
        if key not in contracts:
            known = [*OPTIONS, EXPECTED, *having, EPS[0]]
            raise UsageError(
                f"{where}: there is no key {key!r}; {did_you_mean(key, known) or f'there are: {_list(known)}'}"
            )
        if key not in having:
            raise UsageError(f"{where}: {key} has no legal variants; these have some: {_list(having)}")
        if not isinstance(value, str) or value not in [v.name for v in contracts[key].variants]:
            legal = [v.name for v in contracts[key].variants]
            hint = did_you_mean(str(value), legal)
            raise UsageError(
                f"{where}: {key} has no variant {value!r}; {hint + ' ' if hint else ''}"
                f'legal variants: {_list(legal)} (write {key} = "{legal[0]}")'
            )
        variants[key] = value
    return Declared(variants, eps)


def in_one_line(text: str, where: str = "--impl-variant") -> Declared:
    """``gelu=erf, eps=1e-6``. Raises UsageError naming the piece that is no such pair; names are not looked up."""
    variants, eps = {}, None
    for piece in filter(None, (p.strip() for p in text.split(","))):
        component, equals, name = (p.strip() for p in piece.partition("="))
        if not (component and equals and name):
            raise UsageError(f"{where} takes component=variant, separated by commas, not {piece!r} (example: gelu=erf)")
        if component in EPS:
            eps = epsilon(name, where)
        else:
            variants[component] = name
    return Declared(variants, eps)


def how_to_declare(mistake: KnownMistake, eps: float | None = None) -> str:
    """How to say that what looks like a mistake is meant: a legal variant, a fixed epsilon. Empty where it cannot be.

    ``eps``: the one that is declared already; who ignores it is wrong whatever is declared.
    """
    if mistake.variant:
        return _said(f'{mistake.component} = "{mistake.variant}"', f"{mistake.component}={mistake.variant}")
    fixed = _fixed_eps(mistake)
    return _said(f"eps = {fixed}", f"eps={fixed}") if fixed and eps is None else ""


def _said(key: str, pair: str) -> str:
    return f"If you mean it, declare it: {key} under [tool.plumbline] in pyproject.toml, or --impl-variant={pair}"


def _fixed_eps(mistake: KnownMistake) -> str:
    """The number that stands for eps in a mistake that differs from the right line in nothing else."""
    found = re.search(r"(?<![\w.])\d+(\.\d+)?e-\d+(?![\w.])", mistake.wrong)
    if mistake.also or mistake.instead is not None or found is None or float(found.group()) == 1e-5:
        return ""
    return found.group() if re.sub(r"\beps\b", found.group(), mistake.right) == mistake.wrong else ""


def _list(names: Any) -> str:
    return ", ".join(names) or "none"
