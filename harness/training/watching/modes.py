"""Training and evaluation mode, and functional dropout."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from harness.training.events import ModeSet
from harness.training.session import Session, Watcher


class Modes(Watcher):
    """Wraps ``Module.train``, which ``eval`` calls; only the outermost of nested calls counts."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, nn.Module, "train", self._train)
        self.exchange(stack, F, "dropout", self._dropout)

    def _train(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def train(module: nn.Module, mode: bool = True) -> Any:
            outermost = not self._depth
            self._depth += 1
            try:
                result = original(module, mode)
            finally:
                self._depth -= 1
            session = self.session
            if outermost and session.is_on and not torch.compiler.is_compiling():
                number = session.tree.number(session.tree.root(module))
                session.emit(ModeSet, model=type(module).__name__, root=number, training=bool(mode))
            return result

        return train

    def _dropout(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
            if training and p > 0 and not torch.compiler.is_compiling():
                self.session.dropout_seen = True
            return original(input, p, training, inplace)

        return dropout


WATCHER = Modes
