"""A module of the implementation together with how it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from harness.execution.bound_call import Ready

How = Callable[..., Any]
"""``how(module, *inputs, **options)`` calls the module. It may have an attribute ``ready``, see :func:`timed_call`, and
``passes_options``, see :func:`passes_options`."""


class Holder(nn.Module):
    """Calls ``inner`` by ``how``, or as it is where nobody says how. Its parameters are named ``inner.NAME``."""

    def __init__(self, inner: nn.Module, how: How | None) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module returns, unread."""
        return self.inner(*inputs, **options) if self.how is None else self.how(self.inner, *inputs, **options)


def passes_options(how: How) -> bool:
    """Whether it calls the module's own forward with every option that it is given."""
    return bool(getattr(how, "passes_options", False))


def timed_call(module: nn.Module, how: How | None, inputs: list[Any], options: dict[str, Any]) -> Ready:
    """A call of a module with nothing of the harness inside, for timing it.

    It is called itself, or as its adapter says (``how.ready``), or as the ``how`` of a declaration calls it.
    """
    if how is None:
        return Ready(partial(module, *inputs, **options))
    ready: Callable[..., Ready] | None = getattr(how, "ready", None)
    return Ready(partial(how, module, *inputs, **options)) if ready is None else ready(module, inputs, options)
