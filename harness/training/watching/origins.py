"""Functions of torch that make tensors of whole numbers: at which lines."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from harness.training.session import Session, Watcher


class MadeTensors(Watcher):
    """Sees the result of every function of torch."""

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        stack.enter_context(_Mode(self.session))


class _Mode(TorchFunctionMode):
    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See ``torch.overrides``."""
        output = func(*args, **(kwargs or {}))
        if isinstance(output, torch.Tensor) and output.dtype is torch.int64 and output.numel() > 1:
            session = self._session
            if session.is_on and not session.horizon.is_light and not torch.compiler.is_compiling():
                with session.measuring():
                    self._note(output, args)
        return output

    def _note(self, output: torch.Tensor, args: Any) -> None:
        session = self._session
        parents = [one for one in args if isinstance(one, torch.Tensor)]
        if session.origins.needs(output, parents, session.done):
            session.origins.add(output, parents, session.places.stack(), session.done)


WATCHER = MadeTensors
