"""Rotary positions as a module with a cache that grows: forward(x) for x of [batch, heads, time, size], by halves."""

import torch
from torch import nn


class RotaryPositionalEmbeddings(nn.Module):
    def __init__(self, d: int, base: int = 10_000):
        super().__init__()
        self.base, self.d = base, d
        self.cos_cached = None
        self.sin_cached = None

    def _build_cache(self, x: torch.Tensor):
        seq_len = x.shape[-2]
        if self.cos_cached is not None and seq_len <= self.cos_cached.shape[0] and self.cos_cached.dtype == x.dtype:
            return
        theta = 1.0 / (self.base ** (torch.arange(0, self.d, 2).to(x) / self.d))
        idx_theta = torch.outer(torch.arange(seq_len).to(x), theta)
        idx_theta2 = torch.cat([idx_theta, idx_theta], dim=1)
        self.cos_cached, self.sin_cached = idx_theta2.cos(), idx_theta2.sin()

    def _neg_half(self, x: torch.Tensor):
        d_2 = self.d // 2
        return torch.cat([-x[..., d_2:], x[..., :d_2]], dim=-1)

    def forward(self, x: torch.Tensor):
        self._build_cache(x)
        seq_len = x.shape[-2]
        return x * self.cos_cached[:seq_len] + self._neg_half(x) * self.sin_cached[:seq_len]
