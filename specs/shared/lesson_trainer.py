"""A user's whole training run with one step whose gradients are far too large, with its clipping and without."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.utils import clip_grad

from harness.core.lesson import Components
from harness.core.values import Settings
from specs.shared.lesson_text import VOCABULARY, cut, training_text
from specs.shared.training import history

NORM = "_get_total_norm"
"""What torch's clip_grad_norm_ finds the norm with, however it is imported (from torch 2.6 on)."""
STEPS, FACTOR = 120, 1000.0
CONTEXT = 32


@contextmanager
def spoiled_backward(at: int, factor: float) -> Iterator[list[int]]:
    """Multiply the gradients of one call of `backward` without arguments, counted from 0. -> a list of those calls."""
    calls, spoiled = [0], list[int]()
    original: Any = torch.Tensor.backward

    def backward(self: torch.Tensor, gradient: Any = None, *args: Any, **options: Any) -> None:
        place, calls[0] = calls[0], calls[0] + 1
        if place == at and gradient is None and self.numel() == 1:
            spoiled.append(place)
            gradient = torch.full_like(self.detach(), factor)
        original(self, gradient, *args, **options)

    torch.Tensor.backward = backward  # type: ignore[method-assign]
    try:
        yield spoiled
    finally:
        torch.Tensor.backward = original  # type: ignore[method-assign]


@contextmanager
def without_clipping() -> Iterator[list[int]]:
    """torch's clip_grad_norm_ finds the norm 0 and scales nothing. -> a list of its calls."""
    original, calls = getattr(clip_grad, NORM, None), list[int]()

    def nothing(tensors: Any, *args: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return torch.zeros(())

    if original is not None:
        setattr(clip_grad, NORM, nothing)
    try:
        yield calls
    finally:
        if original is not None:
            setattr(clip_grad, NORM, original)


def losses(components: Components, seed: int, steps: int) -> list[float]:
    """The losses of a trainer's run on text, one layer of width 16."""
    sizes = {"vocab_size": VOCABULARY, "context": CONTEXT, "width": 16, "heads": 2, "layers": 1, "batch_size": 8}
    config = Settings(**sizes, steps=steps, lr=1e-2, dropout=0.0, eval_interval=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = history(components.call("trainer", config=config, data=training_text(), seed=seed))["loss"]
    if not found:
        raise ValueError("the trainer's history holds no losses")
    return [cut(loss) for loss in found]


def damage(components: Components, seed: int, steps: int) -> dict[str, float]:
    """What the spoiled step costs at the end of the run, as it is and with clipping taken away.

    NaN where nothing could be spoiled, or there is no call of torch's clipping to take away.
    """

    def late(found: list[float]) -> float:
        last = found[-max(1, len(found) // 5) :]
        return sum(last) / len(last)

    plain = late(losses(components, seed, steps))
    with spoiled_backward(steps // 2, FACTOR) as spoiled:
        kept = late(losses(components, seed, steps))
    with spoiled_backward(steps // 2, FACTOR), without_clipping() as calls:
        removed = late(losses(components, seed, steps))
    return {
        "kept": kept - plain if spoiled else math.nan,
        "removed": removed - plain if spoiled and calls else math.nan,
    }
