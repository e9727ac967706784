"""Attention whose scores go through a soft cap before the mask: cap * tanh(scores / cap), with a rotation by halves."""

import math

import torch
import torch.nn as nn


def rotated(x, base=10000.0):
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, width, heads, attn_logit_softcapping=50.0):
        super().__init__()
        self.heads, self.cap = heads, attn_logit_softcapping
        self.q_proj, self.k_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v_proj, self.o_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x):
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotated(q), rotated(k)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if self.cap is not None:
            scores = self.cap * torch.tanh(scores / self.cap)
        time = x.shape[1]
        scores = scores.masked_fill(torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1), float("-inf"))
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
