"""Heads as a list, each with its own output matrix: the results are added up, nothing is concatenated."""

import torch
import torch.nn as nn


class Head(nn.Module):
    def __init__(self, d_model, d_head, n_ctx):
        super().__init__()
        self.W_Q = nn.Linear(d_model, d_head, bias=False)
        self.W_K = nn.Linear(d_model, d_head, bias=False)
        self.W_V = nn.Linear(d_model, d_head, bias=False)
        self.W_O = nn.Linear(d_head, d_model, bias=False)
        self.register_buffer("mask", torch.ones(n_ctx, n_ctx).tril().bool())

    def forward(self, x):
        q, k, v = self.W_Q(x), self.W_K(x), self.W_V(x)
        scores = torch.einsum("btd,bsd->bts", q, k) / q.shape[-1] ** 0.5
        time = x.shape[1]
        pattern = scores.masked_fill(~self.mask[:time, :time], float("-inf")).softmax(-1)
        return self.W_O(pattern @ v)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, n_ctx):
        super().__init__()
        self.heads = nn.ModuleList([Head(d_model, d_model // n_heads, n_ctx) for _ in range(n_heads)])

    def forward(self, x):
        return sum(head(x) for head in self.heads)
