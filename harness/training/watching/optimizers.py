"""Steps of torch's optimisers, and the clearing of gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from harness.training.events import GradientsCleared, Group, OptimizerStepped, StepOfParameter
from harness.training.parameters import Tracked, is_same, sample
from harness.training.places import Place
from harness.training.session import Session, Watcher
from harness.training.watching.backward import cosine

Seen = list[tuple[Tracked, torch.Tensor, "torch.Tensor | None", torch.Tensor]]


class Optimizers(Watcher):
    """Global hooks before and after a step; ``zero_grad`` of optimisers and modules is wrapped."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._before: dict[int, tuple[Seen, int | None]] = {}

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        stack.callback(register_optimizer_step_pre_hook(self._about_to_step).remove)
        stack.callback(register_optimizer_step_post_hook(self._stepped).remove)
        self.exchange(stack, Optimizer, "zero_grad", self._wrapped)
        self.exchange(stack, nn.Module, "zero_grad", self._wrapped)

    def _about_to_step(self, optimizer: Optimizer, arguments: Any, options: Any) -> None:
        session = self.session
        if not session.is_on:
            return
        session.safe_point()
        with session.quiet():
            seen: Seen = []
            for tensor in [] if session.horizon.is_light else tensors_of(optimizer):
                gradient = None if tensor.grad is None else sample(tensor.grad)
                seen.append((session.parameters.of(tensor), tensor, gradient, sample(tensor)))
            session.held |= {id(tensor) for _, tensor, *_ in seen}
            self._before[id(optimizer)] = (seen, count_of(optimizer))

    def _stepped(self, optimizer: Optimizer, arguments: Any, options: Any) -> None:
        session = self.session
        if not session.is_on or id(optimizer) not in self._before:
            return
        seen, count = self._before.pop(id(optimizer))
        is_first = session.since_backward > 0 or session.done == 0
        with session.quiet():
            born = session.tree.born
            parameters = tuple(
                replace(
                    _step_of(*one),
                    born=born.get(id(one[1]), Place()),
                    beside_frozen=session.tree.is_beside_frozen(one[1]),
                )
                for one in seen
            )
            groups = self._groups(optimizer)
        session.emit(
            OptimizerStepped,
            step=session.done if is_first else max(session.done - 1, 0),
            number=session.optimizer_number(optimizer),
            light=session.horizon.is_light,
            kind=type(optimizer).__name__,
            parameters=parameters,
            groups=groups,
            count=count,
            since_backward=session.since_backward,
            scaled=session.is_scaled and not session.unscales_itself,
            attribute_rate="lr" in vars(optimizer),
            made_at=session.made.get(session.optimizer_number(optimizer), Place()),
            betas=tuple(map(float, optimizer.defaults.get("betas", ()))),
            ascends=bool(optimizer.defaults.get("maximize", False)),
        )
        session.losses, session.embedded, session.last_call = [], [], None
        if is_first:
            session.done += 1
        session.since_backward = 0

    def _groups(self, optimizer: Optimizer) -> tuple[Group, ...]:
        known = {*optimizer.defaults, "initial_lr", "params"}
        return tuple(
            Group(
                self.session.parameters.names(group["params"]),
                float(group.get("lr", 0.0)),
                float(group.get("weight_decay", 0.0) or 0.0),
                tuple((k, float(v)) for k, v in group.items() if k not in known and isinstance(v, float)),
                float(optimizer.defaults.get("lr", 0.0)),
            )
            for group in optimizer.param_groups
        )

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def zero_grad(owner: Any, *arguments: Any, **options: Any) -> Any:
            if not self.session.is_on or torch.compiler.is_compiling():
                return original(owner, *arguments, **options)
            place = self.session.places.here()
            with self.session.quiet():
                held = owner.parameters() if isinstance(owner, nn.Module) else tensors_of(owner)
                tracked = [self.session.parameters.of(tensor) for tensor in held]
                unused = tuple(each.name for each in tracked if each.left is not None)
                result = original(owner, *arguments, **options)
                for each in tracked:
                    each.left = each.used = None
            names = tuple(each.name for each in tracked)
            kind = type(owner).__name__
            self.session.emit(GradientsCleared, at=place, owner=kind, names=names, unused=unused)
            return result

        return zero_grad


def tensors_of(optimizer: Optimizer) -> list[torch.Tensor]:
    """The parameters of all groups, in order."""
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]


def count_of(optimizer: Optimizer) -> int | None:
    """How many steps an optimiser's state says were made; None where it keeps no count."""
    counts = [state["step"] for state in optimizer.state.values() if isinstance(state, dict) and "step" in state]
    return max((int(count) for count in counts), default=None)


def _step_of(
    each: Tracked, tensor: torch.Tensor, gradient: torch.Tensor | None, before: torch.Tensor
) -> StepOfParameter:
    after = sample(tensor)
    each.used, each.left, each.values = gradient, None, after
    if gradient is None:
        return _step(each, tensor, None, not is_same(before, after), 0.0, after)
    wanted = gradient != 0
    kept = (before == after) & wanted if before.shape == wanted.shape else wanted & False
    lost = float(kept.sum()) / max(float(wanted.sum()), 1.0)
    norm = float(gradient.double().norm())
    along = cosine(after.double() - before.double(), gradient.double()) if before.dtype.is_floating_point else 0.0
    return replace(_step(each, tensor, norm, not is_same(before, after), lost, after), along=along)


def _step(
    each: Tracked, tensor: torch.Tensor, norm: float | None, moved: bool, lost: float, after: torch.Tensor
) -> StepOfParameter:
    finite, dtype = bool(after.isfinite().all()), str(tensor.dtype).removeprefix("torch.")
    sizes = tensor.dim(), tensor.numel()
    return StepOfParameter(each.name, norm, moved, lost, finite, dtype, not tensor.requires_grad, *sizes)


WATCHER = Optimizers
