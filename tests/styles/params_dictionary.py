"""Functions on dictionaries of parameters, as array programs write them: layer_norm(x, params), linear(x, params), init_*."""

import math

import torch


def init_linear(n_in, n_out):
    return {"w": torch.randn(n_in, n_out) / math.sqrt(n_in), "b": torch.zeros(n_out)}


def init_layer_norm(width):
    return {"scale": torch.ones(width), "shift": torch.zeros(width)}


def layer_norm(x, params, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * params["scale"] + params["shift"]


def linear(x, params):
    return x @ params["w"] + params["b"]


def gelu(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x, dim=-1):
    return torch.softmax(x, dim)


def mlp(x, params):
    return linear(gelu(linear(x, params["up"])), params["down"])


def attention(x, params, n_heads):
    batch, time, width = x.shape
    q, k, v = (linear(x, params[name]).view(batch, time, n_heads, -1).transpose(1, 2) for name in ("q", "k", "v"))
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // n_heads)
    scores = scores.masked_fill(torch.ones(time, time, dtype=torch.bool).triu(1), float("-inf"))
    return linear((softmax(scores) @ v).transpose(1, 2).reshape(batch, time, width), params["out"])


def block(x, params, n_heads):
    x = x + attention(layer_norm(x, params["ln_1"]), params["attn"], n_heads)
    return x + mlp(layer_norm(x, params["ln_2"]), params["mlp"])
