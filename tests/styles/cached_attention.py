"""Attention with a cache that is handed in and out: forward(x, layer_past=None, use_cache=False) -> (y, present)."""

import torch
import torch.nn as nn


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head, self.n_embd = config.n_head, config.n_embd
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, layer_past=None, use_cache=False):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2))
        if layer_past is not None:
            k, v = torch.cat((layer_past[0], k), dim=-2), torch.cat((layer_past[1], v), dim=-2)
        total = k.shape[-2]
        seen = torch.ones(T, total, dtype=torch.bool, device=x.device).tril(total - T)
        weights = (q @ k.transpose(-2, -1) * (C // self.n_head) ** -0.5).masked_fill(~seen, float("-inf")).softmax(-1)
        y = self.c_proj((weights @ v).transpose(1, 2).reshape(B, T, C))
        return y, ((k, v) if use_cache else None)
