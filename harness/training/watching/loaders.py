"""Data loaders: when one is iterated anew."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from harness.training.events import LoaderStarted
from harness.training.places import Place
from harness.training.session import Session, Watcher


class Loaders(Watcher):
    """Wraps ``DataLoader.__iter__``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._numbers: dict[int, tuple[Any, int]] = {}
        self._places: dict[int, tuple[Any, Place]] = {}

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, DataLoader, "__iter__", self._iter)
        self.exchange(stack, DataLoader, "__init__", self._made)

    def _made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def build(loader: Any, *arguments: Any, **options: Any) -> None:
            original(loader, *arguments, **options)
            if self.session.is_on:
                self._places[id(loader)] = (loader, self.session.places.here())

        return build

    def _iter(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def begin(loader: Any) -> Any:
            if self.session.is_on:
                with self.session.measuring():
                    self._emit(loader)
            return original(loader)

        return begin

    def _emit(self, loader: Any) -> None:
        _, number = self._numbers.setdefault(id(loader), (loader, len(self._numbers)))
        try:
            batches = len(loader)
        except TypeError:
            batches = None
        _, made = self._places.get(id(loader), (loader, Place()))
        in_order = isinstance(loader.sampler, SequentialSampler)
        shuffled = isinstance(loader.sampler, RandomSampler) or not in_order
        self.session.emit(LoaderStarted, number=number, batches=batches, shuffled=shuffled, made_at=made)


WATCHER = Loaders
