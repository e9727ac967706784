"""Dropout switched on for one call, with the same random numbers every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from harness.modules.size_names import is_dropout

RATES = {"dropout": 0.5, "faint dropout": 1e-15}
"""By the mode of a request. A faint rate drops nothing, and takes the branch of the code that dropout takes."""
SEED = 1234
"""Its first hundred thousand numbers in float32 are above the faint rate."""


@contextmanager
def with_dropout(module: nn.Module, mode: str) -> Iterator[None]:
    """Every rate of dropout in a module is that of the mode, and torch's generator starts anew; both are as before
    afterwards. Nothing happens in a mode without a rate.

    A rate is the ``p`` of torch's own dropout layers, or a number of a dropout's name that was set to 0.
    """
    if mode not in RATES:
        yield
        return
    places = [place for inner in module.modules() for place in _rates(inner)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for inner, name in places:
            inner.__dict__[name] = RATES[mode]
        try:
            yield
        finally:
            for inner, name in places:
                inner.__dict__[name] = 0.0


def _rates(inner: Any) -> list[tuple[Any, str]]:
    """Where a module keeps its own rates, of those that are 0 now."""
    layer = isinstance(inner, nn.modules.dropout._DropoutNd)
    return [
        (inner, name)
        for name, value in vars(inner).items()
        if isinstance(value, float) and value == 0.0 and ((layer and name == "p") or is_dropout(name))
    ]
