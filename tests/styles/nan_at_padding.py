"""Attention in the torch manner: key_padding_mask is True at padding, and a query that sees no key becomes NaN."""

import torch
from torch import nn


class MultiHeadSelfAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv_proj = nn.Linear(embed_dim, 3 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x, key_padding_mask=None):
        batch, time, width = x.shape
        q, k, v = self.qkv_proj(x).view(batch, time, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = torch.full((time, time), float("-inf"), device=x.device, dtype=x.dtype).triu(1)
        if key_padding_mask is not None:
            hidden = key_padding_mask.bool()[:, None, None, :]
            bias = bias + x.new_zeros(batch, 1, 1, time).masked_fill(hidden, float("-inf"))
        scores = q @ k.mT / q.shape[-1] ** 0.5 + bias
        return self.out_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width))
