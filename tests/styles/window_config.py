"""Attention under a sliding window whose width stands in a config; a band mask is built for every call."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class AttentionConfig:
    hidden_size: int = 64
    num_attention_heads: int = 4
    sliding_window: int = 8


class SlidingWindowAttention(nn.Module):
    def __init__(self, config: AttentionConfig):
        super().__init__()
        assert config.hidden_size % config.num_attention_heads == 0
        self.num_heads, self.window = config.num_attention_heads, config.sliding_window
        self.qkv_proj = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (s.view(b, t, self.num_heads, -1).transpose(1, 2) for s in self.qkv_proj(x).chunk(3, dim=-1))
        places = torch.arange(t, device=x.device)
        distance = places[:, None] - places[None, :]
        band = (distance >= 0) & (distance < self.window)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=band)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, d))
