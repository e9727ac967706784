"""Gradient checkpointing: whether the recomputed forward pass draws the same random numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch.utils import checkpoint as torch_checkpoint

from harness.training.observations import CheckpointedAtRandom
from harness.training.session import Watcher


class Checkpointing(Watcher):
    """Wraps ``torch.utils.checkpoint.checkpoint``."""

    def install(self, stack: ExitStack) -> None:
        """See :class:`Watcher`."""
        self.exchange(stack, torch_checkpoint, "checkpoint", self._wrapped)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def checkpoint(function: Any, *arguments: Any, **options: Any) -> Any:
            kept, session = options.get("preserve_rng_state", True), self.session
            if kept or not session.is_on or torch.compiler.is_compiling():
                return original(function, *arguments, **options)
            before = torch.get_rng_state()
            result = original(function, *arguments, **options)
            if not torch.equal(before, torch.get_rng_state()):
                session.emit(CheckpointedAtRandom)
            return result

        return checkpoint


WATCHER = Checkpointing
