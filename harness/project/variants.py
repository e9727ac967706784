"""What somebody declares of an implementation: legal variants, a fixed epsilon. From pyproject.toml, or in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.forms import Variant
from harness.core.mistake import Edit, KnownMistake
from harness.core.record import EXPECTED
from harness.project.epsilon import EPS, epsilon
from harness.project.forms import declared_as, forms_from
from harness.project.precision import HALF_PRECISION

OPTIONS = ("impl", "require", "baseline", "seed", "effort", "cases", "timeout", "report")
"""Keys of ``[tool.plumbline]`` that are options of a run; the front executor reads them."""


@dataclass(frozen=True)
class Project:
    """The table ``[tool.plumbline]``, and the file it stands in."""

    table: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""


@dataclass(frozen=True)
class Declared:
    """Legal forms by component, and the epsilon of norms that have a fixed one (None: the contract's).

    The forms of a component are one text: ``erf``, ``rotary_halves+softcap=50``.
    """

    variants: Mapping[str, str] = field(default_factory=dict)
    eps: float | None = None

    def __str__(self) -> str:
        """As ``--impl-variant`` takes it."""
        pairs = [f"{component}={name}" for component, name in self.variants.items()]
        return ",".join([*pairs, *([f"eps={self.eps!r}"] if self.eps is not None else [])])


def merged(contracts: Mapping[str, Contract], *declared: Declared) -> Declared:
    """What several say, the first going before the others: an axis of a component, and the epsilon, that the earlier
    ones leave open are taken from the later ones."""
    by_component: dict[str, dict[str, Variant]] = {}
    for one in declared:
        for component, text in one.variants.items():
            taken = by_component.setdefault(component, {})
            for form in contracts[component].legal.in_text(text):
                taken.setdefault(form.axis, form)
    variants = {name: contracts[name].legal.text_of(forms.values()) for name, forms in by_component.items()}
    return Declared(variants, next((one.eps for one in declared if one.eps is not None), None))


def in_project(project: Project, contracts: Mapping[str, Contract]) -> Declared:
    """What the project's table declares. Raises UsageError naming the file and the nearest keys or values."""
    where, eps, pairs = f"{project.file}, [tool.plumbline]", None, []
    for key, value in project.table.items():
        if key in (*OPTIONS, EXPECTED, HALF_PRECISION):
            continue
        if key in EPS:
            eps = epsilon(value, where)
        else:
            pairs.append((key, value))
    return Declared(forms_from(pairs, contracts, where, (*OPTIONS, EXPECTED, HALF_PRECISION, EPS[0])), eps)


def in_one_line(text: str, contracts: Mapping[str, Contract], where: str = "--impl-variant") -> Declared:
    """``gelu=erf, softcap=50, eps=1e-6``. Raises UsageError naming the piece that is no such pair, or the nearest
    keys or values."""
    eps, pairs = None, []
    for piece in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = (p.strip() for p in piece.partition("="))
        if not (key and equals and value):
            raise UsageError(
                f"{where} takes component=variant or axis=value, separated by commas, not {piece!r} (example: gelu=erf)"
            )
        if key in EPS:
            eps = epsilon(value, where)
        else:
            pairs.append((key, value))
    return Declared(forms_from(pairs, contracts, where, EPS[:1]), eps)


def declaration_of(mistake: KnownMistake, contracts: Mapping[str, Contract], eps: float | None = None) -> str:
    """What says that something that looks like a mistake is meant, as ``key=value``: a legal form, a fixed epsilon.

    Empty where nothing can be declared. ``eps``: the one that is declared already; who ignores it is wrong whatever is
    declared.
    """
    if mistake.variant:
        form = contracts[mistake.component].legal.named(mistake.variant)
        return declared_as(mistake.component, form) if form is not None else ""
    fixed = _fixed_eps(mistake)
    return f"eps={fixed}" if fixed and eps is None else ""


def _fixed_eps(mistake: KnownMistake) -> str:
    """The number that stands for eps in every edit of a mistake that differs from the right lines in nothing else."""
    numbers = {_number_for_eps(edit) for edit in mistake.edits}
    return numbers.pop() if len(numbers) == 1 else ""


def _number_for_eps(edit: Edit) -> str:
    found = re.search(r"(?<![\w.])\d+(\.\d+)?e-\d+(?![\w.])", edit.wrong)
    if edit.instead is not None or found is None or float(found.group()) == 1e-5:
        return ""
    return found.group() if re.sub(r"\beps\b", found.group(), edit.right) == edit.wrong else ""
