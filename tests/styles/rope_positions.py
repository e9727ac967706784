"""Rotary positions as one function of (x, positions, base): angles on the fly, neighbouring features form a pair."""

import torch


def rope(x, positions, base=10000.0):
    """x: [batch, heads, time, size]; positions: [time] or [batch, time]."""
    size = x.shape[-1]
    frequencies = base ** (-torch.arange(0, size, 2, dtype=torch.float32, device=x.device) / size)
    angles = positions.float()[..., None] * frequencies
    if positions.dim() > 1:
        angles = angles[:, None]
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.stack((first * cos - second * sin, first * sin + second * cos), dim=-1).flatten(-2)
