"""The parts of a GPT-2 as torch.nn has them."""

import torch
from torch import nn
from torch.nn import functional

from plumbline import implements


def after(x):
    """True where a position comes later: what must not be attended to."""
    return torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)


@implements("gelu")
def gelu(config):
    return nn.GELU(approximate="tanh")


@implements("layer_norm")
def layer_norm(config):
    return nn.LayerNorm(config.width, eps=config.eps)


@implements("token_embedding")
def token_embedding(config):
    return nn.Embedding(config.vocab_size, config.width)


@implements("learned_positions")
def learned_positions(config):
    return nn.Embedding(config.context, config.width)


class Attention(nn.Module):
    """Two projections around the fused kernel."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(mixed.transpose(1, 2).flatten(-2))


@implements("attention")
def attention(config):
    return Attention(config.width, config.heads)


@implements("mlp")
def mlp(config):
    return nn.Sequential(
        nn.Linear(config.width, config.hidden), nn.GELU("tanh"), nn.Linear(config.hidden, config.width)
    )


def tanh_gelu(x):
    return functional.gelu(x, approximate="tanh")


@implements("block", call=lambda layer, x: layer(x, src_mask=after(x)))
def block(config):
    """Not the defaults: they are post-norm, ReLU, 10 % dropout, and time before batch.

    The activation is a function of ours, not nn.GELU("tanh"): given that, the layer computes the erf form wherever it
    takes its fast path (evaluation without gradients, an even number of heads), as Plumbline found in torch 2.13.
    """
    return nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        config.hidden,
        dropout=0.0,
        activation=tanh_gelu,
        layer_norm_eps=config.eps,
        batch_first=True,
        norm_first=True,
    )
