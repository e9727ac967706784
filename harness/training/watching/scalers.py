"""Gradient scalers: whether gradients are those of a loss that was scaled up."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch.amp.grad_scaler import GradScaler

from harness.training.events import ScalerUsed
from harness.training.session import Watcher


class Scalers(Watcher):
    """Wraps the methods of ``torch.amp.GradScaler``."""

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        for name, scaled in (("scale", True), ("unscale_", False), ("step", None), ("update", False)):
            self.exchange(stack, GradScaler, name, functools.partial(self._wrapped, name, scaled))

    def _wrapped(self, name: str, scaled: bool | None, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def method(scaler: Any, *arguments: Any, **options: Any) -> Any:
            session = self.session
            if not session.is_on or not scaler.is_enabled():
                return original(scaler, *arguments, **options)
            place = session.places.here()
            if name == "step":
                session.unscales_itself = True
            try:
                result = original(scaler, *arguments, **options)
            finally:
                session.unscales_itself = False
            if scaled is not None:
                session.is_scaled = scaled
            if scaled:
                session.scale = float(scaler.get_scale())
            session.emit(ScalerUsed, at=place, what=name)
            return result

        return method


WATCHER = Scalers
