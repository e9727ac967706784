"""Attention whose input is [time, batch, width] unless ``batch_first`` is switched on, with a mask that is added."""

import torch
from torch import nn


class MultiHeadSelfAttention(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0, batch_first=False):
        super().__init__()
        self.num_heads, self.batch_first = num_heads, batch_first
        self.qkv_proj = nn.Linear(embed_dim, 3 * embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, attn_mask=None):
        if not self.batch_first:
            x = x.transpose(0, 1)
        batch, time, width = x.shape
        heads = self.qkv_proj(x).view(batch, time, 3, self.num_heads, width // self.num_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if attn_mask is not None:
            scores = scores + attn_mask
        mixed = self.drop(torch.softmax(scores, dim=-1)) @ v
        out = self.out_proj(mixed.transpose(1, 2).reshape(batch, time, width))
        return out if self.batch_first else out.transpose(0, 1)
