"""A GPT-2 written by hand for a course, one function per component. Three lines of it are wrong; which?"""

import math

import torch


def gelu(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x.pow(3))))


def token_embedding(ids, weight):
    if ids.numel() and (ids.min() < 0 or ids.max() >= weight.shape[0]):
        raise IndexError(f"ids must lie in 0..{weight.shape[0] - 1}, got {int(ids.min())}..{int(ids.max())}")
    return weight[ids]


def learned_positions(positions, weight):
    if positions.numel() and (positions.min() < 0 or positions.max() >= weight.shape[0]):
        raise IndexError(f"positions must lie in 0..{weight.shape[0] - 1}, got up to {int(positions.max())}")
    return weight[positions]


def layer_norm(x, weight, bias, eps):
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = wide.mean(-1, keepdim=True)
    std = wide.std(-1, keepdim=True, unbiased=False)
    y = (wide - mean) / (std + eps) * weight
    return (y if bias is None else y + bias).to(x.dtype)


def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    batch, time, width = x.shape
    q, k, v = torch.nn.functional.linear(x, qkv_weight, qkv_bias).split(width, dim=-1)
    q, k, v = (t.view(batch, time, n_heads, width // n_heads).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(-2, -1) / math.sqrt(width)
    mask = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
    weights = scores.masked_fill(mask, float("-inf")).softmax(-1)
    mixed = (weights @ v).transpose(1, 2).reshape(batch, time, width)
    return torch.nn.functional.linear(mixed, out_weight, out_bias)


def mlp(x, up_weight, up_bias, down_weight, down_bias):
    hidden = torch.nn.functional.linear(x, up_weight, up_bias)
    out = gelu(hidden) @ down_weight.T
    return out


def block(x, weights, n_heads, eps=1e-5):
    w = weights
    normed = layer_norm(x, w["norm_1_weight"], w["norm_1_bias"], eps)
    x = x + attention(normed, w["qkv_weight"], w["qkv_bias"], w["out_weight"], w["out_bias"], n_heads)
    normed = layer_norm(x, w["norm_2_weight"], w["norm_2_bias"], eps)
    return x + mlp(normed, w["up_weight"], w["up_bias"], w["down_weight"], w["down_bias"])


def gpt2(ids, weights, config):
    time = ids.shape[1]
    if time > config.context:
        raise ValueError(f"{time} tokens do not fit into a context of {config.context}")
    x = token_embedding(ids, weights["token_embedding"])
    x = x + learned_positions(torch.arange(time, device=ids.device), weights["position_embedding"])
    for layer in weights["blocks"]:
        x = block(x, layer, config.heads, config.norm_eps)
    x = layer_norm(x, weights["final_norm_weight"], weights["final_norm_bias"], config.norm_eps)
    return x @ weights["token_embedding"].T
