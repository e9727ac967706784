"""A feed-forward part with its activation written out."""

import math

import torch


def mlp(x, up_weight, up_bias, down_weight, down_bias):
    h = x @ up_weight.T
    if up_bias is not None:
        h = h + up_bias
    c = math.sqrt(2 / math.pi)
    g = 0.5 * h * (1 + torch.tanh(c * (h + 0.044715 * h**3)))
    y = g @ down_weight.T
    if down_bias is not None:
        y = y + down_bias
    return y
