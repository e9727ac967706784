"""Rotary positions as a module with a cache that grows: forward(x) for x of [batch, heads, time, size], by halves."""

import torch
from torch import nn


class RotaryPositionalEmbeddings(nn.Module):
    def __init__(self, d: int, base: int = 10_000):
        super().__init__()
        self.d, self.base = d, base
        self.tables = None

    def _grown(self, time, like):
        if self.tables is None or self.tables[0].shape[0] < time or self.tables[0].dtype != like.dtype:
            speeds = self.base ** (-torch.arange(0, self.d, 2, dtype=torch.float64) / self.d)
            angles = torch.outer(torch.arange(time, dtype=torch.float64), speeds).repeat(1, 2)
            self.tables = angles.cos().to(like), angles.sin().to(like)
        return (table[:time] for table in self.tables)

    def forward(self, x: torch.Tensor):
        cos, sin = self._grown(x.shape[-2], x)
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin
