"""What a module of the implementation declares in its dictionary PLUMBLINE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.errors import UsageError
from harness.discovery.target import Target
from harness.project.epsilon import EPS, epsilon
from harness.project.forms import forms_from
from harness.project.precision import HALF_PRECISION, half_precision
from harness.project.variants import Declared, merged

SWITCHES = ("variants", "framework", "expected", HALF_PRECISION, *EPS)
"""The keys that PLUMBLINE may have."""


def switches_of(target: Target) -> Mapping[str, Any]:
    """The dictionary; empty where there is none. Raises UsageError where it is something else, or has another key."""
    switches = getattr(target.module, "PLUMBLINE", {})
    if not isinstance(switches, Mapping) or any(key not in SWITCHES for key in switches):
        example = '{"variants": {COMPONENT: VARIANT}, "framework": "numpy"}'
        raise UsageError(f"{target.text}: PLUMBLINE must be a dictionary like {example}, not {switches!r}")
    return switches


def declared_eps(target: Target) -> float | None:
    """The fixed epsilon that it declares, if any."""
    switches = switches_of(target)
    fixed = [switches[name] for name in EPS if name in switches]
    return epsilon(fixed[0], f"{target.text}: PLUMBLINE") if fixed else None


def declared_half_precision(target: Target) -> bool:
    """Whether it declares that it is meant for 16-bit numbers. Raises UsageError where that is no bool."""
    return half_precision(switches_of(target).get(HALF_PRECISION, False), f"{target.text}: PLUMBLINE")


def declared_variants(
    target: Target, factories: Mapping[str, Declaration], contracts: Mapping[str, Contract]
) -> dict[str, str]:
    """Component -> its legal forms, from PLUMBLINE and from @implements, which goes first.

    Raises UsageError where one is unknown.
    """
    where = f"{target.text}: PLUMBLINE['variants']"
    table = switches_of(target).get("variants", {})
    if not isinstance(table, Mapping):
        raise UsageError(f'{where} must be a dictionary like {{"positions": "rotary"}}, not {table!r}')
    in_module = Declared(forms_from(((str(key), value) for key, value in table.items()), contracts, where))
    decorated = [(name, d.variant) for name, d in factories.items() if d.variant is not None]
    by_factory = Declared(forms_from(decorated, contracts, f"{target.text}: @implements"))
    return dict(merged(contracts, by_factory, in_module).variants)
