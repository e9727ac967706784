"""Losses that are read as numbers, to be printed or logged."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from harness.training.observations import NumberRead
from harness.training.session import Session, Watcher

FORMATTING = torch._tensor.__file__
"""Where torch formats a tensor."""
MOST = 4000
"""So many readings are kept."""


class Scalars(Watcher):
    """Wraps ``Tensor.item``, which formatting a tensor calls too."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._left = MOST

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, torch.Tensor, "item", self._wrapped)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def item(tensor: torch.Tensor) -> Any:
            value = original(tensor)
            session = self.session
            if isinstance(value, float) and session.is_on and self._left and not session.horizon.is_light:
                caller = sys._getframe(1).f_code.co_filename
                if session.places.is_own(caller) or caller == FORMATTING:
                    self._left -= 1
                    session.emit(NumberRead, value=value)
            return value

        return item


WATCHER = Scalars
