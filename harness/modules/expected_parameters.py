"""The contract's side of a mapping: every learned tensor with its names and its shape in one call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from harness.core.composition import Joined
from harness.core.contract import Argument, Contract
from harness.core.values import Settings

LAYER, STACKED = "*", "#"
"""In a pattern: the index of the layer, and the index of one of several equal pieces (a head, say)."""


@dataclass(frozen=True)
class ExpectedParameter:
    """One tensor of the contract, or one of the equal parts that it is stacked from. ``layered``: one per layer.

    ``sizes``: the names of the sizes in its shape. ``joined``: the names of the tensors that it holds one above the
    other, where it holds several.
    ``sizes``: the names of the sizes in its shape. ``structural``, ``default``: as of an Argument.
    """

    path: tuple[str, ...]
    aliases: tuple[str, ...]
    shape: tuple[int, ...]
    optional: bool
    sizes: tuple[str, ...] = ()
    layered: bool = False
    part: int | None = None
    parts: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    structural: bool = False
    default: float = 0.0

    @property
    def members(self) -> tuple[tuple[str, ...], ...]:
        """The paths of the tensors that it holds."""
        return tuple((*self.path[:-1], name) for name in self.joined) or (self.path,)

    @property
    def name(self) -> str:
        """The last step of its path."""
        return self.path[-1]

    @property
    def label(self) -> str:
        """The path joined by dots, with the part where it is one of several, for messages."""
        whole = ".".join(self.path)
        return whole if self.part is None else f"{whole} ({self.parts[self.part]})"


def slots(contract: Contract, arguments: Mapping[str, Any]) -> list[ExpectedParameter]:
    """Every learned tensor of a contract with its shape in one call; layers are represented by their first."""
    found = list(_slots(contract.arguments("parameter"), arguments, _every_size(contract, arguments), (), False))
    return found + [slot for joined in contract.joined for slot in _joined(joined, found)]


def _joined(joined: Joined, slots: Sequence[ExpectedParameter]) -> Iterator[ExpectedParameter]:
    """One tensor above the other, in every record that has them all."""
    whole = {slot.path: slot for slot in slots if slot.part is None}
    for path in [slot.path for slot in whole.values() if slot.name == joined.names[0]]:
        members = [whole.get((*path[:-1], name)) for name in joined.names]
        found = [m for m in members if m is not None]
        if len(found) == len(members) and len({m.shape[1:] for m in found}) == 1:
            shape = (sum(m.shape[0] for m in found), *found[0].shape[1:])
            named_sizes = tuple(dict.fromkeys(size for m in found for size in m.sizes))
            optional, layered = all(m.optional for m in found), found[0].layered
            path = (*path[:-1], " + ".join(joined.names))
            yield ExpectedParameter(
                path,
                joined.aliases,
                shape,
                optional,
                named_sizes,
                layered,
                joined=joined.names,
                structural=any(m.structural for m in found),
            )


def _every_size(contract: Contract, arguments: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of one call, those of its settings too, and those that follow from a product of sizes: with 6 heads,
    ``heads*head_size = 24`` says that head_size is 4."""
    found: dict[str, int] = {}
    for a in contract.arguments("setting"):
        value = arguments.get(a.name)
        for name, number in (value.as_dict() if isinstance(value, Settings) else {a.name: value}).items():
            if type(number) is int:
                found[name.removeprefix("n_")] = number
    found |= sizes(contract, arguments)
    products: list[tuple[str, int]] = []
    for a in contract.arguments("parameter"):
        _read_products(a, arguments.get(a.name), products)
    for _ in range(2):  # what one product says may be what another needs
        for axis, size in products:
            factors = [factor.strip() for factor in axis.split("*")]
            unknown = [f for f in factors if f.isidentifier() and f not in found]
            rest = math.prod(int(f) if f.isdigit() else found[f] for f in factors if f not in unknown)
            if len(unknown) == 1 and rest and size % rest == 0:
                found[unknown[0]] = size // rest
    return found


def _read_products(a: Argument, value: Any, products: list[tuple[str, int]]) -> None:
    """The axes of a call's tensors that are products of sizes, each with its length."""
    if a.fields:
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        for one in a.fields:
            _read_products(one, first.get(one.name) if isinstance(first, Mapping) else None, products)
    elif torch.is_tensor(value) and len(a.axes) == value.dim():
        products += [(axis, size) for axis, size in zip(a.axes, value.shape, strict=True) if "*" in axis]


def _slots(
    arguments: Iterable[Argument], values: Any, dimensions: Mapping[str, int], path: tuple[str, ...], layered: bool
) -> Iterator[ExpectedParameter]:
    for a in arguments:
        value = values.get(a.name) if isinstance(values, Mapping) else None
        if a.is_list:
            first = value[0] if isinstance(value, (list, tuple)) and value else None
            yield from _slots(a.fields, first, dimensions, (*path, a.name, LAYER), True)
        elif a.fields:
            yield from _slots(a.fields, value, dimensions, (*path, a.name), layered)
        else:
            shape = tuple(value.shape) if torch.is_tensor(value) else shape_of(a, dimensions)
            if shape is None:
                continue
            slot = ExpectedParameter(
                (*path, a.name),
                a.aliases,
                shape,
                a.optional,
                a.axis_names,
                layered,
                structural=a.structural,
                default=a.default or 0.0,
            )
            yield slot
            for i, aliases in enumerate(a.slices.values()):
                one = (shape[0] // len(a.slices), *shape[1:])
                yield replace(slot, aliases=aliases, shape=one, part=i, parts=tuple(a.slices))


def sizes(contract: Contract, arguments: Mapping[str, Any]) -> dict[str, int]:
    """The named sizes of one call, read off its own tensors: all those of its parameters, and of inputs the last axis.

    (How many rows and positions an input has is no property of what computes on it.)
    """
    found: dict[str, int] = {}
    for signature in contract.calls.values():
        for a in signature.arguments:
            value = arguments.get(a.name)
            if a.role == "parameter":
                _read_sizes(a, value, found)
            elif a.role == "input" and torch.is_tensor(value) and value.dim() and value.is_floating_point():
                last = a.axes[-1:]
                if last and last[0].isidentifier():
                    found.setdefault(last[0], value.shape[-1])
    return found


def positions(contract: Contract, arguments: Mapping[str, Any]) -> int:
    """How many positions one call brings, where its inputs have an axis of that name; 0 otherwise."""
    given = ((arguments.get(a.name), a.axes) for a in contract.arguments("input"))
    lengths = (
        v.shape[axes.index("time")]
        for v, axes in given
        if torch.is_tensor(v) and "time" in axes and v.dim() == len(axes)
    )
    return max(lengths, default=0)


def _read_sizes(a: Argument, value: Any, found: dict[str, int]) -> None:
    if a.fields:
        if isinstance(value, (list, tuple)):
            inner = a.axes
            if inner and inner[0].isidentifier():
                found[inner[0]] = len(value)
            value = value[0] if value else None
        for one in a.fields:
            _read_sizes(one, value.get(one.name) if isinstance(value, Mapping) else None, found)
    elif torch.is_tensor(value) and not a.structural:  # one of these may have several forms
        axes = a.axes
        if len(axes) == value.dim():
            found.update({axis: size for axis, size in zip(axes, value.shape, strict=True) if axis.isidentifier()})


def shape_of(argument: Argument, dimensions: Mapping[str, int]) -> tuple[int, ...] | None:
    """``float[3*width, width]`` with ``width = 4`` is (12, 4); None where a size is not known."""
    found = []
    for axis in argument.axes:
        size = 1
        for factor in axis.split("*"):
            number = int(factor) if factor.strip().isdigit() else dimensions.get(factor.strip())
            if number is None:
                return None
            size *= number
        found.append(size)
    return tuple(found)
