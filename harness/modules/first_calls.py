"""What each module inside a model is called with, seen in one run of the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

BATCH, TIME = 2, 5
"""Sizes of that run: different, so that the order of the axes shows."""


@dataclass
class FirstCall:
    """The first call of one module: what it was given, and what it returned."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    output: Any = None

    @property
    def first(self) -> torch.Tensor | None:
        """The first tensor it was given."""
        for value in (*self.arguments, *self.options.values()):
            if torch.is_tensor(value):
                return value
        return None

    @property
    def plain(self) -> bool:
        """Whether it was given one tensor, and nothing else that means anything."""
        others = [v for v in (*self.arguments[1:], *self.options.values()) if v is not None and v is not False]
        return bool(self.arguments) and torch.is_tensor(self.arguments[0]) and not others


FirstCalls = Mapping[str, FirstCall]
"""Path of a module -> its first call. A module whose forward did not return is not there."""


@contextmanager
def first_calls(module: nn.Module) -> Iterator[dict[str, FirstCall]]:
    """While this lasts, the first call of every module inside is noted."""
    seen: dict[str, FirstCall] = {}
    handles = []

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any) -> None:
            seen.setdefault(name, FirstCall(arguments, options, output))

        return hook

    for name, inner in module.named_modules():
        if name:
            handles.append(inner.register_forward_hook(note(name), with_kwargs=True))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
