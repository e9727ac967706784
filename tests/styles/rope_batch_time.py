"""Rotary positions of x [batch, time, heads, size], with neither positions nor a length given: those from 0 on."""

import torch
from torch import nn


class RotaryEmbedding(nn.Module):
    def __init__(self, head_dim: int, theta: float = 10000.0):
        super().__init__()
        self.theta, self.half = theta, head_dim // 2

    def forward(self, x: torch.Tensor):
        places = torch.arange(x.size(1), device=x.device, dtype=torch.float32)
        speeds = self.theta ** (-torch.arange(self.half, device=x.device, dtype=torch.float32) / self.half)
        angles = (places[:, None] * speeds)[None, :, None, :]
        even, odd = x[..., 0::2].float(), x[..., 1::2].float()
        turned = (even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos())
        return torch.stack(turned, dim=-1).flatten(-2).type_as(x)
