"""The parameters of somebody's function, as far as Python knows them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

_known: WeakKeyDictionary[FunctionType, tuple[tuple[Any, ...], list[inspect.Parameter]]] = WeakKeyDictionary()
"""Parameters of plain functions, each with the code and the defaults that they were read from."""


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Its parameters in order; of a class those of its constructor.

    None where there is no signature, as of a builtin.
    """
    if type(function) is FunctionType and not function.__dict__:
        return list(_of_plain_function(function))
    if type(function) is MethodType and type(function.__func__) is FunctionType and not function.__func__.__dict__:
        own = _of_plain_function(function.__func__)
        if own and own[0].kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            return own[1:]
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _of_plain_function(function: FunctionType) -> list[inspect.Parameter]:
    """The parameters of a function with nothing attached to it, read anew only where its code was exchanged."""
    made_of = (function.__code__, function.__defaults__, *(function.__kwdefaults__ or {}).values())
    known = _known.get(function)
    if (
        known is None
        or len(known[0]) != len(made_of)
        or any(a is not b for a, b in zip(known[0], made_of, strict=True))
    ):
        known = _known[function] = made_of, list(inspect.signature(function).parameters.values())
    return known[1]


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Their names in order; none where there is no signature."""
    return [parameter.name for parameter in parameters_of(function) or ()]
