"""Generators of random numbers as arguments: named by their seed, made anew where a script begins and used on after that."""

from __future__ import annotations

import torch

from harness.core.values import Resource

_LATEST: dict[int, torch.Generator] = {}


def seeded(seed: int) -> torch.Generator:
    """A new generator with this seed."""
    _LATEST[seed] = torch.Generator().manual_seed(seed)
    return _LATEST[seed]


def the_same(seed: int) -> torch.Generator:
    """The generator that was last made with this seed, as far as it has got."""
    return _LATEST[seed]


def new(seed: int) -> Resource:
    return Resource("specs.shared.generators:seeded", (seed,))


def used_on(generator: Resource | None) -> Resource | None:
    """What a later call of the same script is given: the generator itself, not one that begins again."""
    return None if generator is None else Resource("specs.shared.generators:the_same", generator.arguments)
