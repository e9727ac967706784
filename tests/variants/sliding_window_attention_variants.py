"""Right attention to a sliding window that differs in how it gets there; none of it may fail a claim."""

import math

import torch
from torch.nn import functional


def _heads(x, weight, bias, n_heads):
    if x.shape[-1] % n_heads:
        raise ValueError("heads")
    return functional.linear(x, weight, bias).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)


def _joined(mixed, weight, bias):
    return functional.linear(mixed.transpose(1, 2).flatten(2), weight, bias)


def window_of_torch(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    """The fused kernel with a boolean mask."""
    place = torch.arange(x.shape[1])
    gap = place[:, None] - place
    seen = (gap >= 0) & (gap < window)
    mixed = functional.scaled_dot_product_attention(*_heads(x, qkv_weight, qkv_bias, n_heads), attn_mask=seen)
    return _joined(mixed, out_weight, out_bias)


def window_in_blocks(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    """Blocks of `window`, each with the block before it: cost linear in the length. Padding is masked."""
    q, k, v = _heads(x, qkv_weight, qkv_bias, n_heads)
    time, missing = x.shape[1], -x.shape[1] % window
    q, k, v = (functional.pad(t, (0, 0, 0, missing)).unflatten(2, (-1, window)) for t in (q, k, v))
    both = [torch.cat([functional.pad(t, (0, 0, 0, 0, 1, 0))[:, :, :-1], t], 3) for t in (k, v)]
    blocks = q.shape[2]
    at = torch.arange(blocks * window).view(blocks, window, 1)
    where = torch.arange(-window, window).view(1, 1, -1) + torch.arange(blocks).view(-1, 1, 1) * window
    seen = (where >= 0) & (where <= at) & (where > at - window)
    scores = (q @ both[0].mT) * q.shape[-1] ** -0.5
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return _joined((weights @ both[1]).flatten(2, 3)[:, :, :time], out_weight, out_bias)


def window_position_by_position(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    """Slices of keys and values, no mask at all."""
    q, k, v = _heads(x, qkv_weight, qkv_bias, n_heads)
    rows = []
    for t in range(x.shape[1]):
        near = slice(max(0, t + 1 - window), t + 1)
        rows.append(functional.scaled_dot_product_attention(q[:, :, t : t + 1], k[:, :, near], v[:, :, near]))
    return _joined(torch.cat(rows, 2), out_weight, out_bias)


def window_with_an_additive_mask(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    """A float mask, einsum, softmax written out."""
    q, k, v = _heads(x, qkv_weight, qkv_bias, n_heads)
    shape = (x.shape[1], x.shape[1])
    future = torch.full(shape, float("-inf"), dtype=x.dtype).triu(1)
    mask = future + torch.full(shape, float("-inf"), dtype=x.dtype).tril(-window)
    scores = torch.einsum("bhtk,bhsk->bhts", q, k) / math.sqrt(q.shape[-1]) + mask
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
    return _joined(torch.einsum("bhts,bhsk->bhtk", weights, v), out_weight, out_bias)


def window_by_unfold(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    """Windows as views of padded keys and values."""
    q, k, v = _heads(x, qkv_weight, qkv_bias, n_heads)
    time = x.shape[1]
    window = min(window, time)
    k, v = (functional.pad(t, (0, 0, window - 1, 0)).unfold(2, window, 1) for t in (k, v))  # [B, H, T, K, W]
    scores = (q.unsqueeze(-2) @ k).squeeze(-2) / q.shape[-1] ** 0.5
    there = torch.arange(time)[:, None] + torch.arange(window) >= window - 1
    weights = scores.where(there, torch.tensor(float("-inf"), dtype=x.dtype)).softmax(-1)
    return _joined((v @ weights.unsqueeze(-1)).squeeze(-1), out_weight, out_bias)


def window_in_float32(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, window):
    wide = (None if t is None else t.float() for t in (x, qkv_weight, qkv_bias, out_weight, out_bias))
    return window_of_torch(*wide, n_heads, window).to(x.dtype)


_ALL = (
    window_of_torch,
    window_in_blocks,
    window_position_by_position,
    window_with_an_additive_mask,
    window_by_unfold,
    window_in_float32,
)

VARIANTS = {function.__name__.replace("_", " "): {"sliding_window_attention": function} for function in _ALL}
