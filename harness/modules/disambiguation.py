"""Parameters that only their order tells apart: which is which, by what the module computes.

All these maps fit by shape. One is chosen only where it alone gives the reference's result in several cases, so a
module that is wrong keeps the order in which its parameters were made, and stays wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from harness.core.case import Case
from harness.core.implementation import Answer
from harness.execution import call
from harness.modules.adapter import ModuleAdapter, building
from harness.modules.expected_parameters import LAYER
from harness.modules.holder import Holder
from harness.modules.layout_choice import IN_OUT
from harness.modules.matching import plan
from harness.modules.output_form import calling, result_of
from harness.modules.parameter_map import Basis, LayoutBasis, Plan
from harness.modules.parameter_values import values_for
from harness.modules.probing import trial_call
from harness.modules.telling_cases import telling_cases
from harness.numerics.compare import is_within
from harness.numerics.tolerance import tolerances

MOST_ORDERS, LEAST_CASES = 120, 3
"""Orders that are tried (five tensors of one shape have as many), and cases in which the chosen one agrees."""

Order = Mapping[str, str | list[str]]
"""Names in the contract -> names in the module, as ``names=`` of a declaration takes them."""
Build = Callable[[Mapping[str, Any]], Holder]


def disambiguate(
    found: Plan, adapter: ModuleAdapter, module: nn.Module, arguments: Mapping[str, Any], build: Build
) -> Plan:
    """The plan with what only the order told apart decided by what the module computes, where one order alone agrees.

    ``found``: the plan by order, with ``ordered`` groups, of ``module``, which was built for ``arguments``. ``build``
    makes the module for the arguments of another case. Returns ``found`` itself where no order, or more than one,
    gives the reference's result in every case that the module takes. Raises TimedOut where a trial call does not end.
    """
    orders = _agreeing_orders(found, adapter, build)
    if len(orders) != 1:
        return found
    chosen = _plan_with(adapter, module, arguments, orders[0])
    decided = {pattern for group in found.ordered for _, pattern in group}
    matches = [
        replace(m, basis=Basis.COMPUTATION, layout_basis=LayoutBasis.SHAPE) if m.found.pattern in decided else m
        for m in chosen.matches
    ]
    return replace(chosen, ordered=(), matches=matches)


def settled_layout(
    found: Plan, adapter: ModuleAdapter, module: nn.Module, arguments: Mapping[str, Any], build: Build
) -> Plan:
    """The plan with square matrices as [in, out] where nothing else tells, and that alone gives the reference's result.

    Where neither layout gives it, the one that such classes usually have (``usual_layout`` of the class).
    """
    open_ones = [m.found.pattern for m in found.matches if m.layout_basis is LayoutBasis.ASSUMED]
    if not found.fine or not open_ones or any(m.basis is Basis.COMPUTATION for m in found.matches):
        return found
    right = [layout for layout in (None, IN_OUT) if _agrees_in(layout, found, adapter, build)]
    usual = getattr(adapter.source, "usual_layout", None)
    if right != [IN_OUT] and (right or usual != IN_OUT):
        return found
    chosen = _plan_with(adapter, module, arguments, {}, IN_OUT)
    matches = [
        replace(m, layout_basis=LayoutBasis.COMPUTATION if right else LayoutBasis.USUAL)
        if m.found.pattern in open_ones
        else m
        for m in chosen.matches
    ]
    return replace(chosen, matches=matches)


def _agrees_in(layout: str | None, found: Plan, adapter: ModuleAdapter, build: Build) -> bool:
    """Whether the module gives the reference's result with square matrices in this layout, in every case tried."""
    tried = 0
    for whole in sorted(telling_cases(adapter.contract), key=_extent, reverse=True):
        if tried == LEAST_CASES:
            break
        try:
            if not _Trial(adapter, whole.without(found.absent), build).agrees({}, layout):
                return False
        except Exception:  # sizes that it does not take; anything else is reported when a case is run
            continue
        tried += 1
    return tried == LEAST_CASES


def gives_the_reference(adapter: ModuleAdapter) -> bool:
    """Whether a module whose parameters are matched gives the reference's result in several cases.

    It decides between two components that a class is named after as much, and whose parameters it has.
    """
    plan = adapter.plan
    return plan is not None and bool(_agreeing_orders(replace(plan, ordered=()), adapter, adapter.built))


def _agreeing_orders(found: Plan, adapter: ModuleAdapter, build: Build) -> list[Order]:
    """The orders that agree in every case tried; none where too few cases could be tried to tell."""
    orders: list[Order] = list(itertools.islice(_orders(found.ordered), MOST_ORDERS))
    tried = 0
    for whole in sorted(telling_cases(adapter.contract), key=_extent, reverse=True):
        case = whole.without(found.absent)
        try:
            trial = _Trial(adapter, case, build)
            agreeing = [order for order in orders if trial.agrees(order)]
        except Exception:  # sizes that it does not take; anything else is reported when a case is run
            continue
        orders, tried = agreeing, tried + 1
        if not orders or (tried >= LEAST_CASES and len(orders) == 1):
            break
    return orders if tried >= LEAST_CASES else []


def _extent(case: Case) -> int:
    """How much a case can show: one position, or one head, shows nothing of queries and keys."""
    return sum(case.dimensions.values()) * min(case.dimensions.values(), default=0)


class _Trial:
    """One case in which orders are compared with the reference.

    The tolerance is the float32 rule on this very case (see :func:`harness.numerics.tolerance.tolerances`): it scales
    with the case, so tiny results do not all agree and large ones are not refused for their rounding. float32 because
    code that computes in float32 inside is right too, while a wrong order changes the result by far more than that.
    """

    def __init__(self, adapter: ModuleAdapter, case: Case, build: Build) -> None:
        self.adapter, contract = adapter, adapter.contract

        def reference(one: Case) -> Answer:
            with torch.no_grad():
                return Answer((contract.reference(**one.arguments),))

        exact, bounds = tolerances(reference, case, torch.float32)
        self.expected: torch.Tensor = exact.outputs[0]
        self.tolerance = bounds.outputs[0]
        self.arguments = case.cast(torch.float32).cast(torch.float64).arguments
        self.inputs = tuple(self.arguments[a.name] for a in contract.arguments("input") if a.name in self.arguments)
        self.holder = trial_call("building", adapter.source, adapter.seconds, build, self.arguments)
        call.invoke(self.holder.eval)
        with building():
            how = calling(self.holder, self.inputs, self.expected.shape, adapter.source, adapter.seconds)
        self.options = dict.fromkeys(how.options, self.inputs[0])

    def agrees(self, order: Order, layout: str | None = None) -> bool:
        """Whether the module gives the reference's result with its parameters in this order and layout."""
        matched = _plan_with(self.adapter, self.holder.inner, self.arguments, order, layout)
        if not matched.fine:
            return False
        values = values_for(matched, self.holder.inner, self.arguments)
        named = {f"inner.{name}": value for name, value in values.items()}
        source, seconds, run = self.adapter.source, self.adapter.seconds, torch.func.functional_call
        with torch.no_grad():
            returned = trial_call("calling", source, seconds, run, self.holder, named, self.inputs, self.options)
        value, _ = result_of(returned)
        if not torch.is_tensor(value) or value.numel() != self.expected.numel():
            return False
        return is_within(value.reshape(self.expected.shape), self.expected, self.tolerance)


def _plan_with(
    adapter: ModuleAdapter, module: nn.Module, arguments: Mapping[str, Any], order: Order, layout: str | None = None
) -> Plan:
    declared = adapter.declaration
    names = {**declared.names, **order}
    return plan(adapter.contract, module, arguments, names, layout or declared.layout, by_order=True)


def _orders(groups: tuple[tuple[tuple[str, str], ...], ...]) -> Iterator[Order]:
    """Every way to exchange the parameters within the groups; the given order first."""
    per_group = [list(itertools.permutations([pattern for _, pattern in group])) for group in groups]
    for choice in itertools.product(*per_group):
        names: dict[str, list[str]] = {}
        for group, patterns in zip(groups, choice, strict=True):
            for (name, _), pattern in zip(group, patterns, strict=True):
                names.setdefault(name, []).append(pattern.rpartition(f"{LAYER}.")[2])
        yield {name: several[0] if len(several) == 1 else several for name, several in names.items()}
