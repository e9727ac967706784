"""Multi-query attention: one key and value head for all query heads, one fused projection, sizes as keyword arguments."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiQueryAttention(nn.Module):
    """Fast decoding: the key and value projections have one head."""

    def __init__(self, n_embd, n_head, bias=False):
        super().__init__()
        assert n_embd % n_head == 0
        self.n_head, self.head_dim = n_head, n_embd // n_head
        self.q_proj = nn.Linear(n_embd, n_embd, bias=bias)
        self.kv_proj = nn.Linear(n_embd, 2 * self.head_dim, bias=bias)
        self.out_proj = nn.Linear(n_embd, n_embd, bias=bias)

    def forward(self, x):
        batch, time, width = x.shape
        q = self.q_proj(x).view(batch, time, self.n_head, self.head_dim).transpose(1, 2)
        k, v = self.kv_proj(x).unsqueeze(1).chunk(2, dim=-1)
        scores = (q @ k.transpose(-2, -1)) * self.head_dim**-0.5
        future = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
        weights = F.softmax(scores.masked_fill(future, float("-inf")), dim=-1)
        return self.out_proj((weights @ v).transpose(1, 2).reshape(batch, time, width))
