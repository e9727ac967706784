"""Backward passes: which gradients they wrote, and onto what."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch

from harness.training.events import BackwardRan, LossUse, OptimizerStepped, StepOfParameter
from harness.training.parameters import Tracked, is_same, sample
from harness.training.session import PendingLoss, Session, Watcher


class Token:
    """Lives as long as the graph that holds it."""


class Backward(Watcher):
    """Wraps ``torch.autograd.backward``, which ``Tensor.backward`` calls."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._depth = 0
        self._tokens: list[tuple[int, weakref.ref[Token]]] = []

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, torch.autograd, "backward", self._wrapped)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(*arguments: Any, **options: Any) -> Any:
            if not self.session.is_on or self._depth or torch.compiler.is_compiling():
                return original(*arguments, **options)
            self.session.safe_point()
            if self.session.horizon.is_light:
                self.session.count_backward()
                return original(*arguments, **options)
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
            session.losses = session.losses[-1:]
        uses: tuple[LossUse, ...] = ()
        moved = False
        with session.quiet():
            moved = session.since_backward > 0 and own_step is None and self._is_moved()
            before = self._before()
            with session.measuring():
                uses = tuple(_uses(loss, session.losses, session.scale if session.is_scaled else 1.0))
            for probe in session.before_backward:
                with session.measuring():
                    probe(loss)
        self._depth += 1
        try:
            result = original(*arguments, **options)
        finally:
            self._depth -= 1
        with session.quiet():
            after = self._after(before)
        session.since_backward += 1
        root, kept = id(loss), self._kept(loss)
        scaled = session.is_scaled
        after["moved"] = moved
        session.emit(BackwardRan, at=place, loss=_number(loss), uses=uses, scaled=scaled, root=root, kept=kept, **after)
        return result

    def _kept(self, loss: torch.Tensor | None) -> int:
        """How many losses of earlier steps have graphs that still live: each graph holds a token of ours."""
        alive = sum(token() is not None for step, token in self._tokens if step < self.session.done)
        node = None if loss is None else loss.grad_fn
        if node is not None:
            token = Token()
            kept: Any = node.metadata  # a dictionary, which torch declares as a method
            kept["plumbline"] = token
            self._tokens.append((self.session.done, weakref.ref(token)))
        return alive

    def _own_step(self) -> OptimizerStepped | None:
        """The step of an optimiser that is no torch optimiser: parameters changed since the last backward pass."""
        session = self.session
        steps = []
        if session.since_backward and not session.made:
            for each, tensor in session.parameters:
                now = sample(tensor)
                if each.values is not None and each.last is not None and not is_same(each.values, now):
                    steps.append(_own(each, tensor, now))
                    each.used = None if tensor.grad is None else sample(tensor.grad)
                    each.left = None
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

    def _is_moved(self) -> bool:
        """Whether a parameter changed since the last backward pass, and no step came in between."""
        known = [(each.values, tensor) for each, tensor in self.session.parameters if each.last is not None]
        return any(values is not None and not is_same(values, sample(tensor)) for values, tensor in known)

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
            if each.values is None or id(tensor) not in self.session.held:
                now = sample(tensor)
                each.changed = each.changed or (each.values is not None and not is_same(each.values, now))
                each.values = now
            found.append((each, tensor, gradient, kind))
        return found

    def _after(self, before: list[tuple[Tracked, torch.Tensor, torch.Tensor | None, str]]) -> dict[str, Any]:
        reached, stale, carried, broken = [], [], [], []
        for each, tensor, gradient, kind in before:
            now = None if tensor.grad is None else sample(tensor.grad)
            if now is None or is_same(now, gradient):
                continue
            each.left = each.last = now
            reached.append(each.name)
            if kind == "stale":
                stale.append(each.name)
            elif kind == "carried":
                carried.append(each.name)
            if not bool(now.isfinite().all()):
                broken.append(each.name)
        lists = {"reached": reached, "stale": stale, "carried": carried, "not_finite": broken}
        changed = tuple(each.name for each, *_ in before if each.changed)
        norms = [float(each.left.double().norm()) for each, *_ in before if each.left is not None]
        norm = sum(one**2 for one in norms) ** 0.5
        return {**{name: tuple(names) for name, names in lists.items()}, "norm": norm, "changed": changed}


def _own(each: Tracked, tensor: torch.Tensor, now: torch.Tensor) -> StepOfParameter:
    assert each.last is not None and each.values is not None
    along = cosine(now.double() - each.values.double(), each.last.double())
    norm, dtype = float(each.last.double().norm()), str(tensor.dtype).removeprefix("torch.")
    finite, sizes = bool(now.isfinite().all()), (tensor.dim(), tensor.numel())
    return StepOfParameter(each.name, norm, True, 0.0, finite, dtype, False, *sizes, along=along)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Of the angle between two samples; 0 where one of them is 0."""
    norms = float(one.norm() * other.norm())
    return float(one @ other) / norms if norms and one.shape == other.shape else 0.0


def _only(tensors: Any) -> torch.Tensor | None:
    """The tensor of a backward pass that begins at one."""
    if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
        tensors = tensors[0]
    return tensors if isinstance(tensors, torch.Tensor) else None


def _uses(loss: torch.Tensor | None, pending: list[PendingLoss], scale: float) -> Iterator[LossUse]:
    """With which weights a backward pass uses the cross-entropies that were computed."""
    asked = [one for one in pending if one.result.requires_grad]
    if loss is None or not asked:
        return
    inputs = [one.result for one in asked]
    gradients = torch.autograd.grad(loss, inputs, torch.ones_like(loss), retain_graph=True, allow_unused=True)
    for one, gradient in zip(asked, gradients, strict=True):
        if gradient is not None:
            whole, counted = float(gradient.double().sum()), max(one.event.counted, 1)
            is_mean = one.event.reduction == "mean"
            whole /= scale
            weight = whole if one.event.reduction == "sum" else whole / counted
            yield LossUse(one.event.index, weight, whole if is_mean else weight * counted)


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
