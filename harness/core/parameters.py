"""The parameters of somebody's function, as far as Python knows them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Its parameters in order; of a class those of its constructor.

    None where there is no signature, as of a builtin.
    """
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Their names in order; none where there is no signature."""
    return [parameter.name for parameter in parameters_of(function) or ()]
