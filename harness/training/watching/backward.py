"""Backward passes: which gradients they wrote, and onto what."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from harness.training.events import BackwardRan, LossComputed, ModelCalled, OptimizerStepped, StepOfParameter
from harness.training.parameters import Tracked, is_same, sample
from harness.training.places import Place
from harness.training.session import Session, Watcher


class Backward(Watcher):
    """Wraps ``torch.autograd.backward``, which ``Tensor.backward`` calls."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0
        self._last = -1

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, torch.autograd, "backward", self._wrapped)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(*arguments: Any, **options: Any) -> Any:
            if not self.session.is_on or self._depth or torch.compiler.is_compiling():
                return original(*arguments, **options)
            self.session.safe_point()
            return self._watched(original, arguments, options)

        return backward

    def _watched(self, original: Callable[..., Any], arguments: Any, options: Any) -> Any:
        session = self.session
        place = session.places.here()
        loss = _only(arguments[0] if arguments else options.get("tensors"))
        with session.quiet():
            for tensor in _leaves(loss):
                session.parameters.of(tensor)
            own_step = self._own_step()
        if own_step is not None:
            session.done += 1
        with session.quiet():
            before = self._before()
            for probe in session.before_backward:
                probe(loss)
        self._depth += 1
        try:
            result = original(*arguments, **options)
        finally:
            self._depth -= 1
        with session.quiet():
            after = self._after(before)
        session.since_backward += 1
        forward = any(e.index > self._last for e in session.stream.of(ModelCalled))
        event = session.emit(BackwardRan, at=place, loss=_number(loss), forward=forward, **after)
        self._last = event.index
        return result

    def _own_step(self) -> OptimizerStepped | None:
        """The step of an optimiser that is no torch optimiser: parameters changed since the last backward pass."""
        session = self.session
        steps = []
        if session.since_backward:
            for each, tensor in session.parameters:
                now = sample(tensor)
                if each.left is not None and each.values is not None and not is_same(each.values, now):
                    steps.append(StepOfParameter(each.name, float(each.left.norm()), True, 0.0, True))
                    each.used, each.left = each.left, None
                each.values = now
        if not steps:
            return None
        session.since_backward = 0
        return session.emit(
            OptimizerStepped,
            at=session.own_step_place(),
            number=-1,
            kind="",
            parameters=tuple(steps),
            groups=(),
            count=None,
            since_backward=1,
        )

    def _before(self) -> list[tuple[Tracked, torch.Tensor, torch.Tensor | None, str]]:
        """Every parameter with its gradient, and whether that is stale, carried or none of both."""
        found = []
        for each, tensor in self.session.parameters:
            if not tensor.requires_grad:
                continue
            gradient = None if tensor.grad is None else sample(tensor.grad)
            kind = ""
            if gradient is None or not bool(gradient.any()):
                each.used = each.left = None
            elif each.used is not None and is_same(each.used, gradient):
                kind = "stale"
            elif each.left is not None:
                kind = "carried"
            if each.values is None:
                each.values = sample(tensor)
            found.append((each, tensor, gradient, kind))
        return found

    def _after(self, before: list[tuple[Tracked, torch.Tensor, torch.Tensor | None, str]]) -> dict[str, Any]:
        reached, stale, carried, broken = [], [], [], []
        for each, tensor, gradient, kind in before:
            now = None if tensor.grad is None else sample(tensor.grad)
            if now is None or is_same(now, gradient):
                continue
            each.left = now
            reached.append(each.name)
            if kind == "stale":
                stale.append(each.name)
            elif kind == "carried":
                carried.append(each.name)
            if not bool(now.isfinite().all()):
                broken.append(each.name)
        lists = {"reached": reached, "stale": stale, "carried": carried, "not_finite": broken}
        place = next((e.at for e in reversed(self.session.stream.events) if isinstance(e, LossComputed)), Place())
        return {**{name: tuple(names) for name, names in lists.items()}, "loss_place": place}


def _only(tensors: Any) -> torch.Tensor | None:
    """The tensor of a backward pass that begins at one."""
    if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
        tensors = tensors[0]
    return tensors if isinstance(tensors, torch.Tensor) else None


def _number(loss: torch.Tensor | None) -> float | None:
    return float(loss.detach()) if loss is not None and loss.numel() == 1 else None


def _leaves(loss: torch.Tensor | None) -> list[torch.Tensor]:
    """The leaf tensors that the graph of a loss reaches, as far as it is recorded."""
    start = None if loss is None else loss.grad_fn
    found, stack, seen = [], [start] if start is not None else [], {start}
    while stack:
        node = stack.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, torch.Tensor):
            found.append(variable)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append(following)
    return found


WATCHER = Backward
