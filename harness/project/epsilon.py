"""A project's own epsilon: how it is declared, and a contract whose optional epsilons have it by default."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.core.case import Case
from harness.core.contract import Argument, Contract
from harness.core.errors import UsageError
from harness.core.values import Settings

EPS = ("eps", "epsilon")
"""How the key may be spelled."""

UNCHANGED = "unchanged"
"""Under this name a strategy with another epsilon has the one that it changes."""


def unchanged(strategy: Callable[[], Any]) -> Callable[[], Any]:
    """What makes the strategy of a sheet, where its cases are changed afterwards; itself where they are not."""
    plain: Callable[[], Any] = getattr(strategy, UNCHANGED, strategy)
    return plain


def epsilon(value: Any, where: str) -> float:
    """The number. Raises UsageError naming where it stands if it is no small positive one."""
    try:
        eps = float(value)
    except (TypeError, ValueError):
        eps = math.nan
    if isinstance(value, bool) or not 0 < eps < 1:
        raise UsageError(f"{where}: eps is a small positive number like 1e-6, not {value!r}")
    return eps


EPSILON_SETTING = re.compile(r"(\w+_)?eps(ilon)?")
"""Names of settings that are an epsilon."""


def with_eps(contract: Contract, eps: float) -> Contract:
    """The same contract where the default of every optional epsilon is this one.

    Every case that has the old default has the new one instead; those with another epsilon stay, for code that takes
    it.
    """
    usual = {
        a.name: a.default
        for signature in contract.calls.values()
        for argument in signature.arguments
        for a in (argument, *argument.fields)
        if _is_eps(a)
    }
    if not usual:
        return contract

    left_out = {
        method: {a.name: eps for a in signature.arguments if _is_eps(a)} for method, signature in contract.calls.items()
    }

    def moved(case: Case) -> Case:
        calls = (c.with_arguments(left_out.get(c.method, {}) | _moved(c.arguments, usual, eps)) for c in case.calls)
        return replace(case, calls=tuple(calls))

    calls = {
        name: replace(signature, arguments=tuple(_with_default(a, eps) for a in signature.arguments))
        for name, signature in contract.calls.items()
    }
    claims = tuple(c if c.cases is None else replace(c, cases=_mapped(c.cases, moved)) for c in contract.claims)
    return replace(
        contract,
        calls=calls,
        cases=_mapped(contract.cases, moved),
        invalid=_mapped(contract.invalid, moved) if contract.invalid else None,
        claims=claims,
    )


def _mapped(cases: Callable[[], Any], moved: Callable[[Case], Case]) -> Callable[[], Any]:
    def changed() -> Any:
        return cases().map(moved)

    vars(changed)[UNCHANGED] = cases
    return changed


def _is_eps(a: Argument) -> bool:
    return (
        a.role == "setting"
        and a.optional
        and isinstance(a.default, float)
        and EPSILON_SETTING.fullmatch(a.name) is not None
    )


def _with_default(a: Argument, eps: float) -> Argument:
    if a.fields:
        return replace(a, fields=tuple(_with_default(inner, eps) for inner in a.fields))
    return replace(a, default=eps) if _is_eps(a) else a


def _moved(arguments: Mapping[str, Any], usual: Mapping[str, float], eps: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, Settings):
            found[name] = Settings(**_moved(value.as_dict(), usual, eps))
        else:
            found[name] = eps if name in usual and value == usual[name] else value
    return found
