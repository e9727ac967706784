"""Heads by one projection for q, k and v."""

import math

import torch
from torch.nn import functional as F


def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    B, T, C = x.size()
    qkv = F.linear(x, qkv_weight, qkv_bias)
    q, k, v = qkv.split(C, dim=2)
    k = k.view(B, T, n_heads, C // n_heads).transpose(1, 2)
    q = q.view(B, T, n_heads, C // n_heads).transpose(1, 2)
    v = v.view(B, T, n_heads, C // n_heads).transpose(1, 2)
    att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    bias = torch.tril(torch.ones(T, T)).view(1, 1, T, T)
    att = att.masked_fill(bias == 0, float("-inf"))
    att = F.softmax(att, dim=-1)
    y = att @ v
    y = y.transpose(1, 2).contiguous().view(B, T, C)
    return F.linear(y, out_weight, out_bias)
