"""What code keeps between calls: its module's globals, attributes of its classes, defaults and closures of functions.

Nothing of it is called; two looks at the same code tell what changed between them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import torch

DEPTH, LONGEST = 4, 400
"""How deep containers and objects are looked into, and entries of each."""
PLAIN = (int, float, complex, str, bytes, bool, type(None))


def held_by(source: Any) -> dict[str, Any]:
    """What the module of a function or class keeps, as values that can be compared, by a name that says where.

    ``SEEN``, ``Cache.calls``, ``the default of cache in attend()``.
    """
    kept, found = _globals_of(source), dict[str, Any]()
    for name, value in kept.items():
        if not name.startswith("__"):
            found.update(_of(name, value, str(kept.get("__name__"))))
    return found


def _globals_of(source: Any) -> Mapping[str, Any]:
    """What a function, or the methods of a class, see: the module that they were made in, whether or not another one
    was imported under its name since."""
    inner = inspect.unwrap(source) if callable(source) else source
    functions = vars(inner).values() if isinstance(inner, type) else (inner,)
    own = [one for one in functions if isinstance(one, FunctionType) and one.__module__ == source.__module__]
    return own[0].__globals__ if own else {}


def held_in(built: Any) -> dict[str, Any]:
    """The attributes of an object, buffers and parameters of a module too: ``Counter.calls``."""
    kind, held = type(built).__name__, dict(getattr(built, "__dict__", {}))
    for inside in ("_buffers", "_parameters", "_modules"):
        held.update(held.pop(inside, None) or {})
    return {f"{kind}.{name}": _fingerprint(value) for name, value in held.items()}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what is not what it was, or is new."""
    return [name for name, value in after.items() if name not in before or before[name] != value]


def _of(name: str, value: Any, home: str) -> Iterator[tuple[str, Any]]:
    """What is kept under one global name."""
    if isinstance(value, ModuleType):
        return
    if isinstance(value, FunctionType):
        if value.__module__ == home:
            yield from _of_function(name, value)
        return
    if isinstance(value, type):
        if value.__module__ == home:
            for attribute, inner in vars(value).items():
                if isinstance(inner, FunctionType):
                    yield from _of_function(f"{name}.{attribute}", inner)
                elif not attribute.startswith("__") and not callable(inner):
                    yield f"{name}.{attribute}", _fingerprint(inner)
        return
    if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
        yield f"the cache of {name}()", tuple(value.cache_info())[3:]
    elif not callable(value) or isinstance(value, torch.nn.Module):
        yield name, _fingerprint(value)


def _of_function(name: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
    for attribute, inner in vars(function).items():
        if not attribute.startswith("__"):
            yield f"{name}.{attribute}", _fingerprint(inner)
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if isinstance(parameter.default, (list, dict, set)):
            yield f"the default of {parameter.name} in {name}()", _fingerprint(parameter.default)
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            inner = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        if not callable(inner):
            yield f"{variable} of {name}()", _fingerprint(inner)


def _fingerprint(value: Any, depth: int = DEPTH) -> Any:
    """A value that is equal to another one where nothing of what it was made from has changed."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), repr(value.detach().flatten()[:LONGEST].tolist())
    if isinstance(value, PLAIN):
        return repr(value)
    if depth == 0:
        return id(value)
    if isinstance(value, dict):
        entries = list(value.items())[:LONGEST]
        return len(value), tuple((repr(key)[:80], _fingerprint(inner, depth - 1)) for key, inner in entries)
    if isinstance(value, (list, tuple, set, frozenset)):
        return len(value), tuple(_fingerprint(inner, depth - 1) for inner in list(value)[:LONGEST])
    held = getattr(value, "__dict__", None)
    if isinstance(held, dict) and held:
        return type(value).__name__, _fingerprint(held, depth - 1)
    return id(value)
