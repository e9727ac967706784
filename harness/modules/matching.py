"""Which parameter of a module is which tensor of a contract: by name, then by shape, never by what the module computes.

So a mistake in the module is never mapped away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from harness.core.contract import Argument, Contract
from harness.modules.expected_parameters import slots
from harness.modules.found_parameters import found_parameters, stacks
from harness.modules.layout_choice import choose_layouts
from harness.modules.layouts import ways
from harness.modules.name_matching import match_biases, match_by_name, match_declared, note_other_sizes
from harness.modules.parameter_map import Plan
from harness.modules.partial_match import PartialMatch
from harness.modules.shape_matching import match_by_order, match_by_shape, match_head


def plan(
    contract: Contract,
    module: nn.Module,
    arguments: Mapping[str, Any],
    names: Mapping[str, str | Sequence[str]] | None = None,
    layout: str | None = None,
    by_order: bool = False,
) -> Plan:
    """Match the module's parameters with the contract's, at the sizes of this call.

    ``names``: the contract's name -> the module's, where a person declared it; several for a tensor kept in parts.
    ``layout``: "in_out" or "out_in" for square matrices, where declared. ``by_order``: where neither names nor shapes
    tell, the order in which the parameters were made decides; see ``Plan.ordered``.
    """
    state = PartialMatch(
        contract, slots(contract, arguments), found_parameters(module, _layers(contract, arguments)), layout
    )
    match_declared(state, names or {})
    match_by_name(state, state.free())
    match_by_name(state, stacks(state.free()))
    match_biases(state)
    match_by_shape(state)
    match_biases(state)
    if by_order:
        match_by_order(state)
        match_biases(state)
    match_head(state)
    return _finished(state)


def _finished(state: PartialMatch) -> Plan:
    missing, absent = state.not_found()
    matches = choose_layouts(state)
    note_other_sizes(state)
    free = state.free()
    unplaced = [
        s
        for s in state.open()
        if s.optional and s.part is None and not s.joined and any(ways(s, t.shape) for t in free)
    ]
    return Plan(
        matches=matches,
        absent=tuple(absent),
        missing=tuple(missing),
        surplus=tuple(free),
        problems=tuple(state.problems),
        notes=tuple(state.notes),
        contract=state.contract.name,
        unplaced=tuple(unplaced),
        ordered=tuple(state.ordered),
    )


def _layers(contract: Contract, arguments: Mapping[str, Any]) -> int | None:
    """How many layers this call's weights have; None where the contract has no list of layers."""

    def look(parameters: Iterable[Argument], values: Any) -> int | None:
        for a in parameters:
            value = values.get(a.name) if isinstance(values, Mapping) else None
            if a.is_list:
                return len(value) if isinstance(value, (list, tuple)) else 0
            if a.fields and (found := look(a.fields, value)) is not None:
                return found
        return None

    return look(contract.arguments("parameter"), arguments)
