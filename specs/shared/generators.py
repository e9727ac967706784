"""Random generators as arguments of a case: created from a seed, and passed on to later calls of the script."""

from __future__ import annotations

import torch

from harness.core.values import Resource

_LATEST: dict[int, torch.Generator] = {}


def seeded(seed: int) -> torch.Generator:
    """A new generator with this seed."""
    _LATEST[seed] = torch.Generator().manual_seed(seed)
    return _LATEST[seed]


def the_same(seed: int) -> torch.Generator:
    """The generator that was last created with this seed, in its current state."""
    return _LATEST[seed]


def new(seed: int) -> Resource:
    """An argument that is a new generator with this seed."""
    return Resource("specs.shared.generators:seeded", (seed,))


def used_on(generator: Resource | None) -> Resource | None:
    """The same generator for a later call of the script, in its current state."""
    return None if generator is None else Resource("specs.shared.generators:the_same", generator.arguments)
