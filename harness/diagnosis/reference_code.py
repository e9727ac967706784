"""The functions that a component's reference is made of, and their source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from harness.core.mistake import Edit

MOST_FUNCTIONS = 8
"""Helpers of a reference that are looked at."""
DETACHED = ".detach()"
LARGEST = {"amax", "max"}


def functions_of(reference: Callable[..., Any], everywhere: bool = False) -> list[FunctionType]:
    """The reference's own function, or the methods of its class, and the helpers that they call.

    ``everywhere``: also those of other modules of its package, which are components of their own.
    """
    first: list[Any] = [reference]
    if isinstance(reference, type):
        first = [value for value in vars(reference).values() if isinstance(value, FunctionType)]
    waiting = [inspect.unwrap(one) for one in first]
    found: list[FunctionType] = []
    while waiting and len(found) < MOST_FUNCTIONS + len(first):
        function = waiting.pop(0)
        if not isinstance(function, FunctionType) or function in found:
            continue
        found.append(function)
        called = (function.__globals__.get(name) for name in function.__code__.co_names)
        home = function.__module__.partition(".")[0] if everywhere else function.__module__
        waiting += [one for one in called if isinstance(one, FunctionType) and one.__module__.startswith(home)]
    return found


@cache
def source_of(function: FunctionType) -> tuple[tuple[str, ...], ast.FunctionDef]:
    """The lines of a function, and its syntax tree. Raises OSError or TypeError where it has none."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    (definition,) = ast.parse("\n".join(lines)).body
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"{function.__qualname__} is no plain function")
    return tuple(lines), definition


def attached_maxima(reference: Callable[..., Any]) -> tuple[Edit, ...]:
    """Edits after which the gradient goes through every maximum that the reference takes off before it exponentiates.

    In right code that changes nothing, so both are written; beside a mistake it may.
    """
    found: list[Edit] = []
    for function in functions_of(reference, everywhere=True):
        try:
            _, definition = source_of(function)
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(definition):
            if isinstance(node, ast.Assign) and _is_detached_maximum(node.value):
                line = ast.unparse(node)
                found.append(Edit(function, line, line.removesuffix(DETACHED)))
    return tuple(found)


def _is_detached_maximum(value: ast.expr) -> bool:
    text = ast.unparse(value)
    called = {
        node.func.attr
        for node in ast.walk(value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return text.endswith(DETACHED) and bool(called & LARGEST)
