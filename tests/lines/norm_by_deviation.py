"""A layer norm by its standard deviation."""

import torch


def layer_norm(x, weight, bias, eps):
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True, unbiased=False)
    var = std**2
    inv = torch.rsqrt(var + eps)
    y = (x - mean) * inv
    y = y * weight
    if bias is not None:
        y = y + bias
    return y
