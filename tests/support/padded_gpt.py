"""A small GPT-2 whose forward takes an attention mask and position ids, as published generation code wants."""

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, bias=None):
        batch, time, width = x.shape
        q, k, v = (t.view(batch, time, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).split(width, 2))
        scores = (q @ k.mT) / (width // self.n_head) ** 0.5
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~torch.ones(time, time, dtype=torch.bool).tril(), lowest)
        if bias is not None:
            scores = (scores + bias).clamp(min=lowest)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x):
        return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = Mlp(config)

    def forward(self, x, bias=None):
        x = x + self.attn(self.ln_1(x), bias)
        return x + self.mlp(self.ln_2(x))


class Config:
    def __init__(self, vocab_size=50, block_size=32, n_embd=32, n_layer=2, n_head=4):
        self.vocab_size, self.block_size = vocab_size, block_size
        self.n_embd, self.n_layer, self.n_head = n_embd, n_layer, n_head


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, attention_mask=None, position_ids=None):
        places = torch.arange(idx.shape[1]) if position_ids is None else position_ids
        x = self.wte(idx) + self.wpe(places)
        bias = None
        if attention_mask is not None:
            bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for block in self.h:
            x = block(x, bias)
        return self.lm_head(self.ln_f(x))
