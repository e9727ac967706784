"""Rotary positions in the einops manner: RotaryEmbedding(dim) gives frequencies, rotate_queries_or_keys turns a tensor."""

import torch
from einops import rearrange, repeat
from torch import einsum, nn


def rotate_half(x):
    x = rearrange(x, "... (d r) -> ... d r", r=2)
    x1, x2 = x.unbind(dim=-1)
    return rearrange(torch.stack((-x2, x1), dim=-1), "... d r -> ... (d r)")


def apply_rotary_emb(freqs, t):
    rot_dim = freqs.shape[-1]
    t, t_pass = t[..., :rot_dim], t[..., rot_dim:]
    t = t * freqs.cos() + rotate_half(t) * freqs.sin()
    return torch.cat((t, t_pass), dim=-1)


class RotaryEmbedding(nn.Module):
    def __init__(self, dim, theta=10000):
        super().__init__()
        self.register_buffer("freqs", 1.0 / (theta ** (torch.arange(0, dim, 2)[: dim // 2].float() / dim)))

    def forward(self, seq):
        freqs = einsum("..., f -> ... f", seq.type_as(self.freqs), self.freqs)
        return repeat(freqs, "... n -> ... (n r)", r=2)

    def rotate_queries_or_keys(self, t):
        return apply_rotary_emb(self(torch.arange(t.shape[-2], device=t.device)), t)
