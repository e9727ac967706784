"""Rotary positions of x [time, batch, heads, size], by halves; of each head, the features beyond the first d stay."""

import torch
from torch import nn


class RotaryPositions(nn.Module):
    def __init__(self, d: int, base: int = 10_000):
        super().__init__()
        self.d = d
        self.register_buffer("speeds", base ** (-torch.arange(0, d, 2).float() / d), persistent=False)

    def forward(self, x: torch.Tensor):
        places = torch.arange(x.shape[0], device=x.device).float()
        angles = torch.outer(places, self.speeds.float()).repeat(1, 2)[:, None, None, :]
        turning, rest = x[..., : self.d], x[..., self.d :]
        quarter = torch.cat((-turning[..., self.d // 2 :], turning[..., : self.d // 2]), dim=-1)
        return torch.cat((turning * angles.cos() + quarter * angles.sin(), rest), dim=-1)
