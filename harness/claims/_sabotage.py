"""Small tools for sabotages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.core.case import is_float
from harness.core.tree import map_leaves


def floats(value: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with every floating-point tensor changed; texts, numbers and id lists are changed in kind."""

    def spoil(_: Any, leaf: Any) -> Any:
        return change(leaf) if is_float(leaf) else leaf

    return map_leaves(value, spoil)


def anything(value: Any, change: Callable[[Any], Any]) -> Any:
    """As ``floats``; where there is no floating-point tensor, ids, the last character or number are spoiled instead."""
    touched = False

    def spoil(_: Any, leaf: Any) -> Any:
        nonlocal touched
        if is_float(leaf):
            touched = True
            return change(leaf)
        return leaf

    spoiled = map_leaves(value, spoil)
    if touched:
        return spoiled
    if isinstance(value, (list, tuple)):
        return type(value)(value[:-1]) if value else type(value)([0])
    if isinstance(value, (str, bytes)):
        return value[:-1]
    if torch.is_tensor(value) and value.numel():  # ids
        return value + 1
    return value


def mixes_positions(call: Callable[[Any], Any], method: str, arguments: Any, request: Any) -> Any:
    """Every output depends on all positions, later ones included."""
    return floats(call(arguments), lambda out: out + 0.1 * out.mean())
