"""Projections as tensors with a head axis, [heads, width, size], all in capitals; a plain Parameter for each."""

import torch
import torch.nn as nn


class Attention(nn.Module):
    def __init__(self, d_model: int, num_heads: int, d_head: int):
        super().__init__()
        self.num_heads, self.d_head = num_heads, d_head
        self.W_Q = nn.Parameter(torch.empty(num_heads, d_model, d_head))
        self.W_K = nn.Parameter(torch.empty(num_heads, d_model, d_head))
        self.W_V = nn.Parameter(torch.empty(num_heads, d_model, d_head))
        self.W_O = nn.Parameter(torch.empty(num_heads, d_head, d_model))
        self.b_O = nn.Parameter(torch.zeros(d_model))
        for weight in (self.W_Q, self.W_K, self.W_V, self.W_O):
            nn.init.normal_(weight, std=0.02)

    def forward(self, resid):
        q = torch.einsum("bqm,nmh->bqnh", resid, self.W_Q)
        k = torch.einsum("bkm,nmh->bknh", resid, self.W_K)
        v = torch.einsum("bkm,nmh->bknh", resid, self.W_V)
        scores = torch.einsum("bqnh,bknh->bnqk", q, k) / self.d_head**0.5
        time = resid.shape[1]
        future = torch.triu(torch.ones(time, time, device=resid.device), diagonal=1).bool()
        pattern = scores.masked_fill(future, torch.finfo(scores.dtype).min).softmax(dim=-1)
        z = torch.einsum("bnqk,bknh->bqnh", pattern, v)
        return torch.einsum("bqnh,nhm->bqm", z, self.W_O) + self.b_O
