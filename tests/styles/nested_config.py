"""Attention in groups whose configuration holds the base of the rotation in a dictionary, and a window that is off."""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class AttentionConfig:
    hidden_size: int = 512
    num_attention_heads: int = 8
    num_key_value_heads: int = 2
    use_sliding_window: bool = False
    sliding_window: int = 4096
    rope_parameters: dict = field(default_factory=lambda: {"kind": "default", "rope_theta": 2000000.0})


class GroupedQueryAttention(nn.Module):
    def __init__(self, config: AttentionConfig):
        super().__init__()
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size = config.hidden_size // config.num_attention_heads
        self.base = config.rope_parameters["rope_theta"]
        self.window = config.sliding_window if config.use_sliding_window else None
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.groups * self.size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.groups * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, config.hidden_size, bias=False)

    def rotated(self, x):
        steps = self.base ** -(torch.arange(0, self.size, 2, device=x.device) / self.size)
        angles = torch.arange(x.shape[2], device=x.device)[:, None] * torch.cat((steps, steps))
        first, second = x.chunk(2, dim=-1)
        return x * angles.cos().to(x.dtype) + torch.cat((-second, first), dim=-1) * angles.sin().to(x.dtype)

    def forward(self, hidden_states):
        batch, time, _ = hidden_states.shape
        q, k, v = (
            proj(hidden_states).view(batch, time, -1, self.size).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        shared = self.heads // self.groups
        k, v = self.rotated(k).repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        seen = torch.ones(time, time, dtype=torch.bool, device=q.device).tril()
        if self.window is not None:
            seen = seen.triu(1 - self.window)
        mixed = F.scaled_dot_product_attention(self.rotated(q), k, v, attn_mask=seen)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, time, -1))
