"""A GPT of the years between: attention and feed-forward side by side after one norm, rotary positions, no biases."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def rotate_every_two(x, angles):
    first, second = x[..., ::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack((first * cos - second * sin, second * cos + first * sin), -1).flatten(-2)


class ParallelBlock(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.ln_1 = nn.LayerNorm(n_embd)
        self.q_proj, self.k_proj = nn.Linear(n_embd, n_embd, bias=False), nn.Linear(n_embd, n_embd, bias=False)
        self.v_proj, self.out_proj = nn.Linear(n_embd, n_embd, bias=False), nn.Linear(n_embd, n_embd, bias=False)
        self.fc_in, self.fc_out = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)

    def forward(self, x):
        h = self.ln_1(x)
        q, k, v = (p(h).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        size = q.shape[-1]
        angles = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)[:, None] * 10000.0 ** (
            -torch.arange(0, size, 2, dtype=x.dtype, device=x.device) / size
        )
        q, k = rotate_every_two(q, angles), rotate_every_two(k, angles)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        return x + self.out_proj(attended) + self.fc_out(F.gelu(self.fc_in(h), approximate="tanh"))
