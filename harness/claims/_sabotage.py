"""Tools for sabotages: ways to call a right component that break a claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from harness.core.case import is_float
from harness.core.implementation import Request
from harness.core.tree import map_leaves

Arguments = Mapping[str, Any]
"""The arguments of one call, by name."""
Call = Callable[[Arguments], Any]
"""The right component's own call."""
Sabotage = Callable[[Call, str, Arguments, Request], Any]
"""``sabotage(call, method, arguments, request)``: what comes back in place of ``call(arguments)``."""


def floats(value: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with every floating-point tensor changed; texts, numbers and id lists are changed in kind."""

    def changed_leaf(_: Any, leaf: Any) -> Any:
        return change(leaf) if is_float(leaf) else leaf

    return map_leaves(value, changed_leaf)


def anything(value: Any, change: Callable[[Any], Any]) -> Any:
    """As ``floats``; where there is no floating-point tensor, ids, the last character or number are changed instead."""
    touched = False

    def changed_leaf(_: Any, leaf: Any) -> Any:
        nonlocal touched
        if is_float(leaf):
            touched = True
            return change(leaf)
        return leaf

    changed = map_leaves(value, changed_leaf)
    if touched:
        return changed
    if isinstance(value, (list, tuple)):
        return type(value)(value[:-1]) if value else type(value)([0])
    if isinstance(value, (str, bytes)):
        return value[:-1]
    if torch.is_tensor(value) and value.numel():  # ids
        return value + 1
    return value


def mixes_positions(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    """Every output depends on all positions, later ones included."""
    return floats(call(arguments), lambda out: out + 0.1 * out.mean())
