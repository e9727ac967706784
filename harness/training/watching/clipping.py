"""Clipping of gradients."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch.nn.utils import clip_grad

from harness.training.events import Clipped
from harness.training.parameters import Tracked, is_same, sample
from harness.training.session import Watcher


class Clipping(Watcher):
    """Wraps ``clip_grad_norm_`` and ``clip_grad_value_`` wherever a person's module has them by name."""

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        for name, by_value in (("clip_grad_norm_", False), ("clip_grad_value_", True)):
            original = getattr(clip_grad, name)
            wrapped = self._wrapped(original, by_value)
            for module in list(sys.modules.values()):
                file = getattr(module, "__file__", None) or ""
                is_own = self.session.places.is_own(file) or module.__name__ == "__main__"
                if module in (clip_grad, torch.nn.utils) or (is_own and vars(module).get(name) is original):
                    self.exchange(stack, module, name, functools.partial(_given, wrapped))

    def _wrapped(self, original: Callable[..., Any], by_value: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip(parameters: Any, limit: Any, *arguments: Any, **options: Any) -> Any:
            session = self.session
            if not session.is_on or torch.compiler.is_compiling():
                return original(parameters, limit, *arguments, **options)
            place = session.places.here()
            if not isinstance(parameters, torch.Tensor) and isinstance(parameters, Iterable):
                parameters = list(parameters)
            with session.quiet():
                given = [parameters] if isinstance(parameters, torch.Tensor) else parameters
                tracked = [(session.parameters.of(one), one) for one in given]
                held = [(each, one) for each, one in tracked if one.grad is not None]
                used = bool(held) and all(_is_used(each, one) for each, one in held)
                result = original(parameters, limit, *arguments, **options)
                for each, one in held:
                    if each.left is not None and one.grad is not None:
                        each.left = sample(one.grad)
            session.emit(
                Clipped,
                at=place,
                by_value=by_value,
                limit=float(limit),
                given=len(given),
                names=tuple(each.name for each, _ in tracked),
                norm=float(result) if isinstance(result, torch.Tensor) else None,
                used=used,
                empty=not held,
                scaled=session.is_scaled,
            )
            return result

        # clip_grad_value_ names its second argument clip_value, clip_grad_norm_ max_norm
        def by_name(parameters: Any, *arguments: Any, **options: Any) -> Any:
            for name in ("max_norm", "clip_value"):
                if name in options:
                    return clip(parameters, options.pop(name), *arguments, **options)
            return clip(parameters, *arguments, **options)

        return functools.wraps(original)(by_name)


def _given(wrapped: Callable[..., Any], original: Any) -> Callable[..., Any]:
    return wrapped


def _is_used(each: Tracked, tensor: torch.Tensor) -> bool:
    """Whether a step has used the gradient that a parameter has."""
    gradient = tensor.grad
    return each.left is None and gradient is not None and is_same(each.used, sample(gradient))


WATCHER = Clipping
