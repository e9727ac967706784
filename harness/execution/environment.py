"""Global state around code of the person: generators start from a fixed seed, changes are noticed and undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from harness.core.implementation import Effect, EffectKind, Request
from harness.execution.generators import Generators, seed_all


class Flags(NamedTuple):
    """Global settings of torch that change what other code computes."""

    dtype: torch.dtype
    gradient_mode: bool
    threads: int
    deterministic: bool

    @classmethod
    def now(cls) -> Flags:
        """Their values at this moment."""
        return cls(
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
        )

    def restore(self) -> None:
        """Set what has another value now (setting the deterministic mode alone imports for 2 s)."""
        now = Flags.now()
        if now.dtype != self.dtype:
            torch.set_default_dtype(self.dtype)
        if now.gradient_mode != self.gradient_mode:
            torch.set_grad_enabled(self.gradient_mode)
        if now.threads != self.threads:
            torch.set_num_threads(self.threads)
        if now.deterministic != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)

    def changed(self, now: Flags) -> list[Effect]:
        """Which of them have another value now."""
        names = ("default dtype", "gradient mode", "number of threads", "deterministic mode")
        return [
            Effect(EffectKind.FLAG, f"torch's {name} was left at {new}, it was {old}")
            for name, old, new in zip(names, self, now, strict=True)
            if old != new
        ]


@contextmanager
def restored() -> Iterator[None]:
    """Random generators and flags are as before afterwards: building draws random weights, which is its business."""
    generators, flags = Generators.now(), Flags.now()
    try:
        yield
    finally:
        flags.restore()
        generators.restore()


@contextmanager
def seeded(request: Request) -> Iterator[list[Effect]]:
    """For the reference: torch's generator starts from the same seed every time, and is restored.

    Yields no side effects.
    """
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(0)
    try:
        yield []
    finally:
        torch.set_rng_state(before)


@contextmanager
def watched(request: Request) -> Iterator[list[Effect]]:
    """Generators start from the same seed every time; all global state is restored afterwards.

    Yields a list that holds, after the block, which of it was changed. (Drawing random numbers in training is no
    change.)
    """
    effects: list[Effect] = []
    before, flags = Generators.now(), Flags.now()
    start = seed_all()
    try:
        yield effects
    finally:
        if request.mode == "eval":
            effects += start.changed()
        effects += flags.changed(Flags.now())
        flags.restore()
        before.restore(start)
