"""Nested values: the arguments and results of a call are trees of dicts, lists and tuples with tensors at the
leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]


def map_leaves(value: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """The same tree with every leaf replaced by ``change(path, leaf)``; containers keep their type."""
    if isinstance(value, dict):
        return {key: map_leaves(inner, change, (*path, key)) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map_leaves(inner, change, (*path, index)) for index, inner in enumerate(value))
    return change(path, value)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every ``(path, leaf)`` of a tree, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def dotted(path: Path) -> str:
    """``("weights", "blocks", 0, "qkv_weight")`` reads ``weights.blocks.0.qkv_weight``."""
    return ".".join(str(step) for step in path)
