"""Parameters that only their order tells apart: which is which, by what the module computes, where one order alone is right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from harness.core.case import Case
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.modules.adapter import Holder, ModuleAdapter, telling_cases
from harness.modules.expected_parameters import LAYER
from harness.modules.matching import plan
from harness.modules.output_form import calling, result_of
from harness.modules.parameter_map import Plan, values_for

MOST_ORDERS, SETTLING_CASES = 120, 3
"""Orders that are tried, and cases that one of them must explain."""


def settled(
    found: Plan,
    adapter: ModuleAdapter,
    module: nn.Module,
    arguments: Mapping[str, Any],
    build: Callable[[Mapping[str, Any]], Any],
) -> Plan:
    """What only the order told apart, settled by what the module computes, where an order gives the reference throughout.

    All these mappings fit by shape; a module that is wrong agrees with none of them and keeps the order it has.
    """
    told, contract = adapter.declaration, adapter.contract
    orders = list(itertools.islice(_orders(found.ordered), MOST_ORDERS))
    tried = 0
    for case in sorted(telling_cases(contract), key=lambda c: -_extent(contract, c)):
        try:
            holder = build(case.arguments)
            agreeing = [order for order in orders if _agrees(order, holder, told, contract, case.arguments)]
        except Exception:  # sizes it does not take; or what is told when it is run
            continue
        orders, tried = agreeing, tried + 1
        if not orders or tried == SETTLING_CASES:
            break
    if not orders or tried < SETTLING_CASES:
        return found
    other = plan(contract, module, arguments, {**told.names, **orders[0]}, told.layout, by_order=True)
    said = {pattern.rpartition(f"{LAYER}.")[2] for group in found.ordered for _, pattern in group}
    note = "by its shape; which of several, by what it computes"
    matches = [replace(m, note=note) if m.theirs.local[0] in said else m for m in other.matches]
    return replace(other, ordered=(), matches=matches)


def _extent(contract: Contract, case: Case) -> int:
    """How much a case has to say: one position, or one head, says nothing of queries and keys."""
    return sum(v for v in case.dimensions.values()) * min(case.dimensions.values(), default=0)


def _agrees(
    order: Mapping[str, Any], holder: Holder, told: Declaration, contract: Contract, arguments: Mapping[str, Any]
) -> bool:
    """Whether the module gives the reference's numbers with its parameters in this order."""
    module = holder.inner.eval()
    matched = plan(contract, module, arguments, {**told.names, **order}, told.layout, by_order=True)
    if not matched.fine:
        return False
    inputs = tuple(arguments[a.name] for a in contract.arguments("input") if a.name in arguments)
    expected = contract.reference(**arguments)
    options = dict.fromkeys(calling(module, holder, inputs, expected.shape).options, inputs[0])
    named = {f"inner.{name}": value for name, value in values_for(matched, module, arguments).items()}
    with torch.no_grad():
        value, _ = result_of(torch.func.functional_call(holder, named, inputs, options))
    alike = torch.is_tensor(value) and value.numel() == expected.numel()
    return bool(alike and torch.allclose(value.reshape(expected.shape), expected, rtol=1e-6, atol=1e-6))


def _orders(groups: tuple[tuple[tuple[str, str], ...], ...]) -> Iterator[dict[str, Any]]:
    """Every way to exchange the parameters within the groups, as ``names`` takes them; the given order first."""
    per_group = [list(itertools.permutations([pattern for _, pattern in group])) for group in groups]
    for choice in itertools.product(*per_group):
        names: dict[str, list[str]] = {}
        for group, patterns in zip(groups, choice, strict=True):
            for (ours, _), pattern in zip(group, patterns, strict=True):
                names.setdefault(ours, []).append(pattern.rpartition(f"{LAYER}.")[2])
        yield {ours: several[0] if len(several) == 1 else several for ours, several in names.items()}
