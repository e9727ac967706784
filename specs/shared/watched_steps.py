"""What a training loop does with its gradients, as the optimizers of torch meet them: when they are clipped.

The global hooks of torch.optim show the gradients before and after every step, whatever the loop looks like. They are
removed with the watch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch.nn.utils import clip_grad
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

NORM = "_get_total_norm"
"""What torch's clip_grad_norm_ finds the norm with, however it is imported (from torch 2.6 on)."""
UNCHANGED, PROPORTIONAL = 1e-4, 1e-4
"""A clipped gradient is shorter by more than this; its numbers are multiples of the old ones up to float32 rounding."""

Held = list[tuple[torch.Tensor, torch.Tensor]]
"""Gradients that a step has used, and what they were then."""


class Seen:
    """What was seen so far. ``late``: the factor that gradients were multiplied by after their step; 0 for none."""

    def __init__(self) -> None:
        self.steps = self.clips = self.clips_of_nothing = self.late_after = 0
        self.late = 0.0
        self.held: dict[int, Held] = {}

    def before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """A step begins."""
        self.look()

    def after(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """A step has been taken."""
        self.look()
        self.steps += 1
        params = [param for group in optimizer.param_groups for param in group["params"]]
        grads = [param.grad for param in params if param.grad is not None and not param.grad.is_sparse]
        self.held[id(optimizer)] = [(grad, grad.detach().clone()) for grad in grads]

    def look(self) -> None:
        """Compare the gradients that steps have used with what they were."""
        for held in self.held.values():
            factor = _factor(held)
            if factor and not self.late:
                self.late, self.late_after = factor, self.steps

    def norm(self, original: Callable[..., Any], tensors: Any, *args: Any, **options: Any) -> Any:
        """In the place of the function that finds the norm: count its calls."""
        grads = list(tensors)
        self.clips += 1
        self.clips_of_nothing += not grads
        return original(grads, *args, **options)


def _factor(held: Held) -> float:
    """The one number below 1 that all these gradients were multiplied by; 0 where there is none."""
    old = torch.cat([before.reshape(-1).double() for _, before in held]) if held else torch.zeros(0)
    new = torch.cat([grad.detach().reshape(-1).double() for grad, _ in held]) if held else torch.zeros(0)
    size = float(old.square().sum())
    if not 0.0 < size < float("inf"):
        return 0.0
    factor = float((new * old).sum()) / size
    apart = float((new - factor * old).norm()) / size**0.5
    return factor if 0.0 < factor < 1 - UNCHANGED and apart < PROPORTIONAL * factor else 0.0


class Watch:
    """Hooks in force as long as it lives, or until they are taken away."""

    def __init__(self) -> None:
        self.seen = Seen()
        hooks = [
            register_optimizer_step_pre_hook(self.seen.before),
            register_optimizer_step_post_hook(self.seen.after),
        ]
        original = getattr(clip_grad, NORM, None)
        if original is not None:
            seen = self.seen
            setattr(clip_grad, NORM, lambda tensors, *args, **options: seen.norm(original, tensors, *args, **options))
        self.end = weakref.finalize(self, _end, hooks, original)


def _end(hooks: list[Any], original: Callable[..., Any] | None) -> None:
    for hook in hooks:
        with suppress(KeyError):
            hook.remove()
    if original is not None:
        setattr(clip_grad, NORM, original)


def watch() -> tuple[Watch]:
    """Watch every optimizer of torch from now on."""
    return (Watch(),)


def seen(watch: Watch) -> dict[str, float]:
    """What was seen; nothing is watched any more."""
    watch.seen.look()
    watch.end()
    found = watch.seen
    return {
        "steps": found.steps,
        "clips": found.clips,
        "clips_of_nothing": found.clips_of_nothing,
        "late": found.late,
        "late_after": found.late_after,
    }
