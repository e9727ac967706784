"""Layers without a gate that are called fc1 and fc2, whose activation is a module that is no GELU, in a small Llama's
block."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    n_embd: int = 64
    n_head: int = 4
    n_kv_head: int = 4
    intermediate_size: int = 256


class SquaredReLU(nn.Module):
    def forward(self, x):
        return F.relu(x).square()


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc1 = nn.Linear(config.n_embd, config.intermediate_size, bias=False)
        self.fc2 = nn.Linear(config.intermediate_size, config.n_embd, bias=False)
        self.act = SquaredReLU()

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head, self.n_kv_head, self.size = config.n_head, config.n_kv_head, config.n_embd // config.n_head
        self.q_proj = nn.Linear(config.n_embd, config.n_head * self.size, bias=False)
        self.k_proj = nn.Linear(config.n_embd, config.n_kv_head * self.size, bias=False)
        self.v_proj = nn.Linear(config.n_embd, config.n_kv_head * self.size, bias=False)
        self.o_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def turned(self, x):
        steps = 10000.0 ** -(torch.arange(0, self.size, 2, device=x.device) / self.size)
        angles = torch.arange(x.shape[2], device=x.device)[:, None] * torch.cat((steps, steps))
        first, second = x.chunk(2, dim=-1)
        return x * angles.cos().to(x.dtype) + torch.cat((-second, first), dim=-1) * angles.sin().to(x.dtype)

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = (p(x).view(batch, time, -1, self.size).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        k, v = (t.repeat_interleave(self.n_head // self.n_kv_head, dim=1) for t in (self.turned(k), v))
        mixed = F.scaled_dot_product_attention(self.turned(q), k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm_1, self.norm_2 = (nn.RMSNorm(config.n_embd, eps=1e-5) for _ in range(2))
        self.attn, self.mlp = CausalSelfAttention(config), FeedForward(config)

    def forward(self, x):
        x = x + self.attn(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))
