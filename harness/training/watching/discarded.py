"""States that are loaded into a model which nobody keeps."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from harness.training.events import Event, ModelCalled, OptimizerStepped
from harness.training.observations import LoadedForNothing
from harness.training.places import Place
from harness.training.session import Session, Watcher


class Discarded(Watcher):
    """Looks, at the first step, for models that were loaded and are gone, while one of their class is trained."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._loaded: list[tuple[weakref.ref[nn.Module], type, Place]] = []
        self._read: set[int] = set()
        self._trained: set[type] = set()
        self._depth = 0

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, nn.Module, "load_state_dict", self._wrapped)
        self.session.listeners.append(self._heard)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *arguments: Any, **options: Any) -> Any:
            self._depth += 1
            try:
                result = original(module, *arguments, **options)
            finally:
                self._depth -= 1
            if not self._depth and self.session.is_on and not self.session.done and not torch.compiler.is_compiling():
                self._loaded.append((weakref.ref(module), type(module), self.session.places.here()))
            return result

        return load_state_dict

    def _heard(self, event: Event) -> None:
        session = self.session
        if isinstance(event, ModelCalled) and event.gradient and session.last_call is not None:
            self._trained.add(type(session.tree.root(session.last_call[0])))
        if not isinstance(event, OptimizerStepped) or not self._loaded:
            return
        loaded, self._loaded = self._loaded, []
        kept = {kind for module, kind, _ in loaded if module() is not None}
        for module, kind, place in loaded:
            if module() is None and kind in self._trained and kind not in kept:
                session.emit(LoadedForNothing, at=place)


WATCHER = Discarded
