"""States that are saved, read and loaded, and optimisers that are built."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from harness.training.events import OptimizerMade
from harness.training.observations import Holder, SeedSet, StateLoaded, StateRead, StateTaken
from harness.training.session import Session, Watcher
from harness.training.watching.optimizers import tensors_of

DEPTH = 4
"""So deep a state is searched for in what was read."""


class States(Watcher):
    """Wraps ``torch.load`` and every ``load_state_dict``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, torch, "load", self._read)
        self.exchange(stack, nn.Module, "load_state_dict", self._module)
        self.exchange(stack, nn.Module, "state_dict", self._taken)
        self.exchange(stack, torch, "manual_seed", self._seed)
        self.exchange(stack, Optimizer, "load_state_dict", functools.partial(self._other, Holder.OPTIMIZER))
        self.exchange(stack, Optimizer, "__init__", self._made)
        for kind in vars(lr_scheduler).values():
            is_scheduler = isinstance(kind, type) and kind.__module__ == lr_scheduler.__name__
            if is_scheduler and "load_state_dict" in vars(kind):
                self.exchange(stack, kind, "load_state_dict", functools.partial(self._other, Holder.SCHEDULER))

    def _read(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            if self.session.is_on:
                kinds = list(kinds_in(result))
                counts = [kinds.count(holder) for holder in (Holder.OPTIMIZER, Holder.SCHEDULER, Holder.MODULE)]
                values = result.values() if isinstance(result, dict) else ()
                counters = sum(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in values)
                of: dict[str, Any] = {
                    "optimizers": counts[0],
                    "schedulers": counts[1],
                    "modules": counts[2],
                    "counters": counters,
                }
                self.session.emit(StateRead, **of)
            return result

        return load

    def _seed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def manual_seed(*arguments: Any, **options: Any) -> Any:
            if self.session.is_on:
                self.session.emit(SeedSet)
            return original(*arguments, **options)

        return manual_seed

    def _taken(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def state_dict(module: nn.Module, *arguments: Any, **options: Any) -> Any:
            outermost = not self._depth
            self._depth += 1
            try:
                result = original(module, *arguments, **options)
            finally:
                self._depth -= 1
            if outermost and self.session.is_on:
                self.session.emit(StateTaken, number=self.session.tree.number(self.session.tree.root(module)))
            return result

        return state_dict

    def _module(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, state_dict: Any, *arguments: Any, **options: Any) -> Any:
            if self._depth or not self.session.is_on:
                return original(module, state_dict, *arguments, **options)
            place = self.session.places.here()
            with self.session.quiet():
                own = module.state_dict(keep_vars=True)
            aliased = [
                name
                for name, tensor in own.items()
                if isinstance(state_dict.get(name), torch.Tensor) and state_dict[name].data_ptr() == tensor.data_ptr()
            ]
            taken = len(set(own) & set(state_dict))
            self._depth += 1
            try:
                result = original(module, state_dict, *arguments, **options)
            finally:
                self._depth -= 1
            session = self.session
            number = session.tree.number(session.tree.root(module))
            numbers: dict[str, Any] = {
                "number": number,
                "taken": taken,
                "of": len(own),
                "own": bool(own) and len(aliased) == len(own),
            }
            session.emit(StateLoaded, at=place, holder=Holder.MODULE, **numbers)
            return result

        return load_state_dict

    def _other(self, holder: Holder, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(owner: Any, *arguments: Any, **options: Any) -> Any:
            outermost = not self._depth
            self._depth += 1
            try:
                result = original(owner, *arguments, **options)
            finally:
                self._depth -= 1
            session = self.session
            if outermost and session.is_on:
                of_optimizer = holder is Holder.OPTIMIZER
                number = session.optimizer_number(owner) if of_optimizer else session.scheduler_number(owner)
                session.emit(StateLoaded, holder=holder, number=number)
            return result

        return load_state_dict

    def _made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def build(optimizer: Any, *arguments: Any, **options: Any) -> None:
            original(optimizer, *arguments, **options)
            session = self.session
            if session.is_on:
                with session.quiet():
                    names = session.parameters.names(tensors_of(optimizer))
                number = session.optimizer_number(optimizer)
                session.made[number] = session.emit(OptimizerMade, number=number, names=names).at

        return build


def kinds_in(value: Any, depth: int = DEPTH) -> list[Holder]:
    """The states that lie in what was read, by what torch writes into each."""
    if not isinstance(value, dict) or depth < 0:
        return []
    if {"state", "param_groups"} <= set(value):
        return [Holder.OPTIMIZER]
    if {"last_epoch", "_step_count"} <= set(value):
        return [Holder.SCHEDULER]
    tensors = [one for one in value.values() if isinstance(one, torch.Tensor)]
    if tensors and len(tensors) == len(value):
        return [Holder.MODULE]
    return [kind for one in value.values() for kind in kinds_in(one, depth - 1)]


WATCHER = States
