"""Right ways to begin: other orders of drawing, other generators, functions that return the weights."""

import math

import numpy
import torch

from reference_model import Config, gpt2, initialise
from specs.shared.untrained_models import of_a_function


class GlobalGenerator:
    """Seeds torch's own generator, allocates everything, then walks over it by name; positions 0.02."""

    def __init__(self, config, seed):
        torch.manual_seed(seed)
        self.config = config
        self.tree = initialise(Config(**config.as_dict()))
        for name, tensor in self.named(self.tree):
            if name.endswith("bias"):
                torch.nn.init.zeros_(tensor)
            elif "norm" in name:
                torch.nn.init.ones_(tensor)
            else:
                torch.nn.init.normal_(tensor, mean=0.0, std=0.02)
        for name, tensor in self.named(self.tree):
            if name.endswith(("out_weight", "down_weight")):
                torch.nn.init.normal_(tensor, mean=0.0, std=0.02 / math.sqrt(2 * config.layers))

    def named(self, tree, prefix=""):
        for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from (
                self.named(value, f"{prefix}{name}.")
                if isinstance(value, (dict, list))
                else [(f"{prefix}{name}", value)]
            )

    def weights(self):
        return self.tree

    def logits(self, ids):
        return gpt2(ids, self.tree, self.config)


class ScaledAfterwards:
    """Everything at 0.02, last layer first; the residual projections are scaled at the end. No logits()."""

    def __init__(self, config, seed):
        torch.manual_seed(seed)
        d, blocks = config.width, []
        for _ in range(config.layers):
            shapes = {
                "down_weight": (d, 4 * d),
                "up_weight": (4 * d, d),
                "out_weight": (d, d),
                "qkv_weight": (3 * d, d),
            }
            block = {name: torch.empty(shape).normal_(0, 0.02) for name, shape in shapes.items()}
            sizes = {
                "norm_1_bias": d,
                "qkv_bias": 3 * d,
                "out_bias": d,
                "norm_2_bias": d,
                "up_bias": 4 * d,
                "down_bias": d,
            }
            block |= {name: torch.zeros(size) for name, size in sizes.items()}
            blocks.append(block | {"norm_1_weight": torch.ones(d), "norm_2_weight": torch.ones(d)})
        for block in blocks:
            for name in ("out_weight", "down_weight"):
                block[name] /= (2 * config.layers) ** 0.5
        self.found = {
            "position_embedding": torch.empty(config.context, d).normal_(0, 0.02),
            "token_embedding": torch.empty(config.vocab_size, d).normal_(0, 0.02),
            "blocks": blocks[::-1],
            "final_norm_weight": torch.ones(d),
            "final_norm_bias": torch.zeros(d),
        }

    def weights(self):
        return self.found


def from_numpy(config, seed):
    """NumPy's generator, in float64."""
    source, d = numpy.random.default_rng(seed), config.width

    def normal(*shape, std=0.02):
        return torch.from_numpy(source.normal(0.0, std, shape))

    less = 0.02 * (2 * config.layers) ** -0.5
    blocks = [
        {
            "norm_1_weight": torch.ones(d).double(),
            "norm_1_bias": torch.zeros(d).double(),
            "qkv_weight": normal(3 * d, d),
            "qkv_bias": torch.zeros(3 * d).double(),
            "out_weight": normal(d, d, std=less),
            "out_bias": torch.zeros(d).double(),
            "norm_2_weight": torch.ones(d).double(),
            "norm_2_bias": torch.zeros(d).double(),
            "up_weight": normal(4 * d, d),
            "up_bias": torch.zeros(4 * d).double(),
            "down_weight": normal(d, 4 * d, std=less),
            "down_bias": torch.zeros(d).double(),
        }
        for _ in range(config.layers)
    ]
    return {
        "token_embedding": normal(config.vocab_size, d),
        "position_embedding": normal(config.context, d, std=0.01),
        "blocks": blocks,
        "final_norm_weight": torch.ones(d).double(),
        "final_norm_bias": torch.zeros(d).double(),
    }


VARIANTS = {
    "global generator": {"initialisation": GlobalGenerator},
    "scaled afterwards": {"initialisation": ScaledAfterwards},
    "function on numpy": {"initialisation": of_a_function(from_numpy)},
}
