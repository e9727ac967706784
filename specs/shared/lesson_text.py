"""What lessons train on: English of Python's own documentation by character, and synthetic sequences."""

from __future__ import annotations

import math
import re
from functools import cache

import torch
from torch import Tensor

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,'(-"
VOCABULARY = len(ALPHABET)
GUESSING = math.log(VOCABULARY)
"""The loss of a uniform guess, in nats."""
WORST = 2 * GUESSING
"""Losses are cut off here, so that one run that diverges does not outweigh all others; NaN counts as this."""


@cache
def text() -> Tensor:
    """The topics of `pydoc_data`, lower case, in the 33 characters of the alphabet.  int64 [about 400,000]

    It differs a little from one version of Python to the next.
    """
    from pydoc_data.topics import topics

    whole = "\n".join(topics[name] for name in sorted(topics)).lower().replace(")", "(").replace("_", "-")
    kept = re.sub(rf"[^{re.escape(ALPHABET)}]+", " ", whole)
    kept = re.sub(r"\n\s+", "\n", re.sub(r" +", " ", kept))
    places = {letter: place for place, letter in enumerate(ALPHABET)}
    return torch.tensor([places[letter] for letter in kept])


def training_text() -> Tensor:
    """The first nine tenths."""
    return text()[: len(text()) * 9 // 10]


def validation_text() -> Tensor:
    """The last tenth."""
    return text()[len(text()) * 9 // 10 :]


def windows(data: Tensor, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Windows from random places, and the tokens that come next.  -> ids and targets [count, length]"""
    places = torch.randint(0, len(data) - length, (count, 1), generator=generator)
    at = places + torch.arange(length)
    return data[at], data[at + 1]


def generator(*seeds: int) -> torch.Generator:
    """A generator of its own for each list of numbers."""
    whole = 0
    for seed in seeds:
        whole = whole * 100_003 + seed + 1
    return torch.Generator().manual_seed(whole % (2**63))


def cut(loss: float) -> float:
    """A loss, `WORST` at most."""
    return min(loss, WORST) if math.isfinite(loss) else WORST
