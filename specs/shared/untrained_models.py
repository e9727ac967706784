"""Initialisation of a model class, and of a function that returns the weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch

from harness.core.contract import Dialect
from harness.core.parameters import parameter_names
from harness.core.tree import Path, leaves, map_leaves
from harness.core.values import Settings
from reference_model.config import Config
from reference_model.gpt2 import initialise
from specs.shared.generation_llama import weights_of_llama
from specs.shared.sizes_of_models import is_llama

PLACES = "position_embedding"
"""What a model with rotary positions does without."""


def of_a_module(make: Callable[..., Any]) -> type:
    """A class with the contract's calls, for a model class. Biases that it lacks count as zeros, gains as ones; a table
    of positions that it lacks has no rows."""

    class Untrained:
        def __init__(self, config: Settings, seed: int) -> None:
            self.config, self.built = config, make(config, seed=seed)
            self.built.module.eval()

        def weights(self) -> Any:
            like = initialise(Config(**self.config.as_dict()))
            found: dict[Path, torch.Tensor | None] = dict(leaves(self.built.weights(like)))

            def neutral(path: Path, leaf: torch.Tensor) -> torch.Tensor:
                value = found[path]
                if value is None and path[-1] == PLACES:
                    return leaf[:0]
                if value is None:
                    return torch.ones_like(leaf) if str(path[-1]).endswith("norm_weight") else torch.zeros_like(leaf)
                return value.to(leaf.dtype)

            return map_leaves(like, neutral)

        def logits(self, ids: torch.Tensor) -> Any:
            with torch.no_grad():
                return self.built(ids)

    return Untrained


def of_a_llama(make: Callable[..., Any]) -> type:
    """The same for a Llama: only what it has is there, for each may lack what others have."""

    class Untrained:
        def __init__(self, config: Settings, seed: int) -> None:
            self.config, self.built = config, make(config, seed=seed)
            self.built.module.eval()

        def weights(self) -> Any:
            found = self.built.weights(weights_of_llama(self.config, 0))
            blocks = [{name: value for name, value in layer.items() if value is not None} for layer in found["blocks"]]
            return {name: value for name, value in found.items() if value is not None} | {"blocks": blocks}

        def logits(self, ids: torch.Tensor) -> Any:
            with torch.no_grad():
                return self.built(ids)

    return Untrained


def untrained(make: Any) -> type:
    """The one that fits what ``make``, a ModelBuilder, builds."""
    return of_a_llama(make) if is_llama(make) else of_a_module(make)


def of_a_function(function: Callable[..., Any]) -> type:
    """A class with the contract's calls, for a function that returns the weights."""

    class Untrained:
        def __init__(self, config: Settings, seed: int) -> None:
            takes_seed = "seed" in parameter_names(function)
            torch.manual_seed(seed)
            random.seed(seed)
            self.tree = function(config, seed) if takes_seed else function(config)

        def weights(self) -> Any:
            return self.tree

    return Untrained


FUNCTIONS = tuple(
    Dialect("many projects", name, takes, lambda a: a, made=of_a_function)
    for name in ("initialisation", "initialise", "initialize", "init_weights", "init_params", "initialisation_weights")
    for takes in (("config", "seed"), ("config",))
)
