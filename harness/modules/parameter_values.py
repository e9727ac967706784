"""A module's parameters get the tensors of one call, each in the module's own layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.core.claim import NotSupported
from harness.core.errors import CannotMatch, OtherSize
from harness.modules.expected_parameters import LAYER, STACKED, ExpectedParameter
from harness.modules.found_parameters import FoundParameter, is_like_a_buffer
from harness.modules.layouts import laid_out, shown
from harness.modules.parameter_map import Match, Plan

BIASES = ("bias", "b")
"""Last names of a surplus parameter that is set to zero."""


def values_for(plan: Plan, module: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """The module's parameters by name: each the contract's tensor, or a part of it, in the shape of the parameter.

    An optional tensor that the case leaves out is zero, or what its default says. Gradients flow back to ``arguments``.
    Raises CannotMatch where this module has other parameters than the one that the plan was made with, OtherSize where
    they have other shapes, NotSupported where the case leaves out a structural one, or has it in another shape.
    """
    live = dict(module.named_parameters(remove_duplicate=False))
    given: dict[str, Tensor] = {}
    done: set[int] = set()
    for match in plan.matches:
        for name, value in _values_of(match, arguments, live):
            given[name] = value
            done.add(id(live[name]))
    for name in plan.kept:
        if name in live and id(live[name]) not in done:
            done.add(id(live[name]))
            if name.rpartition(".")[2] in BIASES:
                given[name] = torch.zeros_like(live[name])
    left = [name for name, tensor in live.items() if id(tensor) not in done and not is_like_a_buffer([name])]
    if left:
        raise CannotMatch(
            f"at these sizes the module has parameters that it does not have at others: {', '.join(left)}"
        )
    return given


def _values_of(match: Match, arguments: Mapping[str, Any], live: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Name and value of every parameter that a match stands for: one per layer, and per piece of a stacked one."""
    for index, record in _records(match.expected, arguments):
        names = _names(match.found, index, live)
        if not names:
            raise CannotMatch(f"the module has no {match.found.pattern} here, though it has one at other sizes")
        value = _value(match.expected, record) if isinstance(record, Mapping) else None
        one = live[names[0]]
        shape = (len(names), *one.shape) if match.found.stacked else tuple(one.shape)
        if value is None and match.expected.structural:
            raise NotSupported(f"it has {match.found.pattern}: it is not judged without {match.expected.label}")
        if value is None:
            new = torch.full(shape, match.expected.default, dtype=one.dtype, device=one.device)
        else:
            if match.expected.part is not None:
                rows = value.shape[0] // len(match.expected.parts)
                value = value[match.expected.part * rows : (match.expected.part + 1) * rows]
            new = _laid_out_or_refused(value, match, shape)
        yield from zip(names, new if match.found.stacked else [new], strict=True)


def _value(slot: ExpectedParameter, record: Mapping[str, Any]) -> Tensor | None:
    """The tensor of the contract; of several in one, one above the other, zeros where one is left out."""
    if not slot.joined:
        return record.get(slot.name)
    held = [record.get(name) for name in slot.joined]
    if all(value is None for value in held) or (slot.structural and any(value is None for value in held)):
        return None
    beside = (record.get(name.removesuffix("bias") + "weight") for name in slot.joined)
    like = next(value for value in held if value is not None)
    rows = [
        value if value is not None else like.new_zeros(weight.shape[0] if weight is not None else len(like))
        for value, weight in zip(held, beside, strict=True)
    ]
    return torch.cat(rows)


def _laid_out_or_refused(value: Tensor, match: Match, shape: tuple[int, ...]) -> Tensor:
    try:
        return laid_out(value, match.layout, shape)
    except ValueError:
        expected = f"{match.expected.label} is {shown(tuple(value.shape))}"
        text = f"its {match.found.pattern} is {shown(shape)} where {expected}"
        if match.expected.structural:
            raise NotSupported(text) from None
        raise OtherSize(f"{text}; was the module built with the sizes of config?", match.expected.sizes) from None


def _records(slot: ExpectedParameter, arguments: Mapping[str, Any]) -> Iterator[tuple[int | None, Any]]:
    """The dictionary that the slot's tensor stands in, once per layer, with the index of the layer."""
    record: Any = arguments
    path = slot.path[:-1]
    if LAYER not in path:
        for step in path:
            record = record[step]
        yield None, record
        return
    at = path.index(LAYER)
    for step in path[:at]:
        record = record[step]
    for index, one in enumerate(record):
        for step in path[at + 1 :]:
            one = one[step]
        yield index, one


def _names(found: FoundParameter, layer: int | None, live: Mapping[str, Tensor]) -> list[str]:
    """The names that a pattern stands for in this module, in one layer."""
    pattern = found.pattern
    if layer is not None:
        first = re.escape(pattern.partition(LAYER)[0])
        start = 0 if any(re.match(rf"{first}0\.", name) for name in live) else 1
        pattern = pattern.replace(LAYER, str(layer + start), 1)
    if not found.stacked:
        return [pattern] if pattern in live else []
    names: list[str] = []
    while (name := pattern.replace(STACKED, str(len(names)), 1)) in live:
        names.append(name)
    return names
