"""GPT-J in miniature (Wang and Komatsuzaki 2021): one norm, then both halves side by side; pairs of neighbours are rotated."""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class GPTJConfig:
    vocab_size: int = 50400
    n_positions: int = 2048
    n_embd: int = 4096
    n_layer: int = 28
    n_head: int = 16
    layer_norm_epsilon: float = 1e-5


def rotate_every_two(x):
    return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)


def apply_rotary_pos_emb(x):
    """x: [batch, time, heads, size]."""
    size, places = x.shape[-1], torch.arange(x.shape[1], dtype=torch.float64)
    angles = torch.outer(places, 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size))
    cos, sin = (t.repeat_interleave(2, -1)[:, None].to(x) for t in (angles.cos(), angles.sin()))
    return x * cos + rotate_every_two(x) * sin


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.n_head = config.n_embd, config.n_head
        self.q_proj, self.k_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v_proj, self.out_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x):
        q, k, v = (p(x).unflatten(-1, (self.n_head, -1)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = apply_rotary_pos_emb(q), apply_rotary_pos_emb(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        time = x.shape[1]
        future = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc_in, self.fc_out = nn.Linear(config.n_embd, 4 * config.n_embd), nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x):
        return self.fc_out(F.gelu(self.fc_in(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn, self.mlp = Attention(config), MLP(config)

    def forward(self, x):
        normed = self.ln_1(x)
        return x + self.attn(normed) + self.mlp(normed)


class GPTJ(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, input_ids):
        x = self.wte(input_ids)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))
