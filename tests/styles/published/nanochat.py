"""nanochat in miniature (Karpathy 2025): norms without weights, also on queries and keys after the rotation; relu squared."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class GPTConfig:
    sequence_len: int = 1024
    vocab_size: int = 50304
    n_layer: int = 12
    n_head: int = 6
    n_kv_head: int = 6
    n_embd: int = 768


def norm(x):
    return F.rms_norm(x, (x.shape[-1],), eps=1e-6)


def rotary(x, base=10000.0):
    """x: [batch, time, heads, size]."""
    half = x.shape[-1] // 2
    freqs = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.outer(torch.arange(x.shape[1], dtype=torch.float64), freqs)[:, None]
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head, self.n_kv_head = config.n_head, config.n_kv_head
        size = config.n_embd // config.n_head
        self.c_q = nn.Linear(config.n_embd, config.n_head * size, bias=False)
        self.c_k = nn.Linear(config.n_embd, config.n_kv_head * size, bias=False)
        self.c_v = nn.Linear(config.n_embd, config.n_kv_head * size, bias=False)
        self.c_proj = nn.Linear(config.n_head * size, config.n_embd, bias=False)

    def forward(self, x):
        q = self.c_q(x).unflatten(-1, (self.n_head, -1))
        k = self.c_k(x).unflatten(-1, (self.n_kv_head, -1))
        v = self.c_v(x).unflatten(-1, (self.n_kv_head, -1))
        q, k = norm(rotary(q)), norm(rotary(k))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.c_proj(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attn, self.mlp = CausalSelfAttention(config), MLP(config)

    def forward(self, x):
        x = x + self.attn(norm(x))
        return x + self.mlp(norm(x))


class NanoChat(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, idx):
        x = norm(self.wte(idx))
        for block in self.h:
            x = block(x)
        return 15 * torch.tanh(self.lm_head(norm(x)) / 15)
