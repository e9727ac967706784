"""Grouped-query attention by einsum over a group axis: dims, query_heads, kv_heads; nothing is repeated."""

import torch
from torch import nn


class GQA(nn.Module):
    def __init__(self, dims: int, query_heads: int, kv_heads: int):
        super().__init__()
        if query_heads % kv_heads:
            raise ValueError(f"{query_heads} query heads cannot share {kv_heads} key heads")
        self.query_heads, self.kv_heads = query_heads, kv_heads
        self.size = dims // query_heads
        self.query = nn.Linear(dims, query_heads * self.size, bias=False)
        self.key = nn.Linear(dims, kv_heads * self.size, bias=False)
        self.value = nn.Linear(dims, kv_heads * self.size, bias=False)
        self.out = nn.Linear(query_heads * self.size, dims, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, _ = x.shape
        group = self.query_heads // self.kv_heads
        q = self.query(x).view(batch, time, self.kv_heads, group, self.size)
        k = self.key(x).view(batch, time, self.kv_heads, self.size)
        v = self.value(x).view(batch, time, self.kv_heads, self.size)
        scores = torch.einsum("btkgd,bskd->bkgts", q, k) / self.size**0.5
        allowed = torch.ones(time, time, dtype=torch.bool, device=x.device).tril()
        weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
        mixed = torch.einsum("bkgts,bskd->btkgd", weights, v)
        return self.out(mixed.reshape(batch, time, -1))
