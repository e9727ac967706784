"""The weights that training starts from."""

from typing import Any

import torch
from torch import Tensor

from reference_model.config import Config
from reference_model.gpt2 import gpt2, initialise


class initialisation:
    """A model fresh from its seed: matrices N(0, 0.02^2), those that write to the residual stream scaled down by depth.

    One seed is one model; the global generator is not touched.
    Source: Radford et al. 2019, section 2.3; openai/gpt-2 src/model.py; see `initialise` in gpt2.py.
    """

    def __init__(self, config: Config, seed: int) -> None:
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        self.drawn = initialise(config, generator)

    def weights(self) -> dict[str, Any]:
        """What was drawn, as `gpt2` takes it."""
        return self.drawn

    def logits(self, ids: Tensor) -> Tensor:
        """What the untrained model says.  ids int [B, T] -> [B, T, V]"""
        return gpt2(ids, self.drawn, self.config)
