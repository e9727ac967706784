"""Weights that are equal where they should be one, and adapters beside a weight: looked at before the first step."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from harness.training.events import Event, ModelCalled
from harness.training.observations import AdaptersSeen, TiedByValue
from harness.training.places import Place
from harness.training.session import Session, Watcher

SMALLER = 4
"""The rank of an adapter is so many times smaller than the sides of its weight."""
LEAST_VALUES = 64
"""Two weights of so many values are not equal by chance."""


class Weights(Watcher):
    """Looks at every model once, when it is first called with a gradient."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._seen: set[int] = set()
        self._placed: dict[int, tuple[weakref.ref[torch.Tensor], Place]] = {}

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        stack.callback(torch_module.register_module_parameter_registration_hook(self._registered).remove)
        self.session.listeners.append(self._heard)

    def _registered(self, module: nn.Module, name: str, tensor: Any) -> None:
        if isinstance(tensor, torch.Tensor) and self.session.is_on and not torch.compiler.is_compiling():
            self._placed[id(tensor)] = (weakref.ref(tensor), self.session.places.here())

    def _heard(self, event: Event) -> None:
        session = self.session
        if not isinstance(event, ModelCalled) or not event.gradient or event.root in self._seen:
            return
        self._seen.add(event.root)
        if session.last_call is None or session.done:
            return
        root = session.tree.root(session.last_call[0])
        with session.quiet(), session.measuring():
            self._find_equal(root)
            self._find_adapters(event.root, root)

    def _find_equal(self, root: nn.Module) -> None:
        tables = [part.weight for part in root.modules() if isinstance(part, nn.Embedding)]
        heads = [part.weight for part in root.modules() if isinstance(part, nn.Linear)]
        for table in tables:
            for head in heads:
                alike = table is not head and table.shape == head.shape and table.numel() >= LEAST_VALUES
                if alike and table.std() > 0 and torch.equal(table, head):
                    names = self.session.parameters.names((table, head))
                    later = max((table, head), key=self._order)
                    self.session.emit(TiedByValue, at=self._place_of(later), names=(names[0], names[1]))

    def _order(self, tensor: torch.Tensor) -> int:
        return list(self._placed).index(id(tensor)) if id(tensor) in self._placed else -1

    def _place_of(self, tensor: torch.Tensor) -> Place:
        found = self._placed.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else Place()

    def _find_adapters(self, number: int, root: nn.Module) -> None:
        """Modules with two own matrices of low rank whose product has the sizes of a weight beside them."""
        found = [weight for part in root.modules() for weight in _adapted(part)]
        if found:
            trained = sum(weight.requires_grad for weight in found)
            self.session.emit(AdaptersSeen, root=number, adapters=len(found), trained=trained)


def _adapted(part: nn.Module) -> list[torch.Tensor]:
    own = [tensor for tensor in part._parameters.values() if tensor is not None and tensor.dim() == 2]
    if len(own) != 2 or not any(not bool(tensor.any()) for tensor in own):
        return []
    rank = min(side for tensor in own for side in tensor.shape)
    sides = sorted(max(tensor.shape) for tensor in own)
    weights = [child.weight for child in part.children() if isinstance(child, nn.Linear)]
    fits = [w for w in weights if sorted(w.shape) == sides and SMALLER * rank <= min(w.shape)]
    return fits if all(rank in tensor.shape for tensor in own) else []


PROBE = Weights
