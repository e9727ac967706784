"""Copies of the trained model that are evaluated beside it, as moving averages of its weights are."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import nn

from harness.training.events import Event, ModelCalled
from harness.training.observations import CopyEvaluated
from harness.training.parameters import is_same, sample
from harness.training.session import Session, Watcher

Values = list[torch.Tensor]


class Copies(Watcher):
    """Compares every model that is called without a gradient with those that are called with one."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._trained: dict[int, tuple[nn.Module, Values]] = {}
        self._first: dict[int, Values] = {}

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.session.listeners.append(self._heard)
        stack.callback(self._trained.clear)

    def _heard(self, event: Event) -> None:
        session = self.session
        if not isinstance(event, ModelCalled) or session.last_call is None:
            return
        root = session.tree.root(session.last_call[0])
        with session.quiet(), session.measuring():
            if not event.gradient:
                self._compare(event, root)
            elif event.root not in self._trained:
                self._trained[event.root] = (root, _values(root))

    def _compare(self, event: ModelCalled, root: nn.Module) -> None:
        like = next((pair for pair in self._trained.values() if _is_alike(root, pair[0])), None)
        if event.root in self._trained or like is None or not self.session.done:
            return
        now = _values(root)
        first = self._first.setdefault(event.root, now)
        own = {id(tensor) for tensor in like[0].parameters()}
        self.session.emit(
            CopyEvaluated,
            at=self.session.places.caller(),
            root=event.root,
            shared=all(id(tensor) in own for tensor in root.parameters()),
            changed=not _are_same(first, now),
            copied=_are_same(first, like[1]),
        )


def _is_alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two models are of one class and have parameters of the same sizes."""
    sizes = [[tensor.shape for tensor in model.parameters()] for model in (one, other)]
    return type(one) is type(other) and sizes[0] == sizes[1]


def _values(root: nn.Module) -> Values:
    return [sample(tensor) for tensor in root.parameters()]


def _are_same(one: Values, other: Values) -> bool:
    return all(is_same(first, second) for first, second in zip(one, other, strict=True))


PROBE = Copies
