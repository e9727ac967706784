"""The cases of training runs: few random tokens, or thousands, and a model of one layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import CALL, Call, Case, harness_step
from harness.core.values import Earlier, Settings
from harness.strategies.tensors import seeds

VOCABULARY, CONTEXT = 13, 8
GUESSING = math.log(VOCABULARY)
GUESS = f"a uniform guess among {VOCABULARY} tokens gives ln {VOCABULARY} = {GUESSING:.4g}"


@st.composite
def cases(draw: st.DrawFn, /, tokens: int = CONTEXT + 1, steps: int = 16, **more: Any) -> Case:
    """Random tokens: so few that every window is the same, or thousands."""
    generator = torch.Generator().manual_seed(draw(seeds))
    data = torch.randint(0, VOCABULARY, (tokens,), generator=generator)
    sizes = {"vocab_size": VOCABULARY, "context": CONTEXT, "width": 16, "heads": 2, "layers": 1, "batch_size": 2}
    settings = {"steps": steps, "lr": 0.03, "dropout": 0.0, "eval_interval": 0, **more}
    return run(Settings(**sizes, **settings), data, draw(st.integers(1, 999)), f"{tokens} random tokens")


def run(config: Settings, data: torch.Tensor, seed: int, family: str = "") -> Case:
    call = Call(CALL, {"config": config, "data": data, "seed": seed})
    return Case((call, harness_step("specs.shared.training:history", value=Earlier(CALL))), {}, family)


def noisy_cases() -> Any:
    return cases(tokens=3000, steps=30)


def hasty_cases() -> Any:
    """A learning rate at which one step changes the loss a lot."""
    return cases(steps=3, lr=0.5)


def watched_cases() -> Any:
    """An evaluation at every step, on the only window."""
    return cases(steps=10, eval_interval=1)


def still_cases() -> Any:
    """A rate of 0, so that only dropout changes a loss."""
    return cases(steps=9, lr=0.0, dropout=0.5, eval_interval=3)
