"""Right torch modules of the components, written in the ways people write them, each plugged in by @implements.

The first ones are named as in nanoGPT; the others differ in what a weight mapper has to cope with.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from harness.core.declaration import Declaration
from harness.execution.executor import Executor
from harness.modules.adapter import ModuleAdapter


def tanh_gelu(x):
    return functional.gelu(x, approximate="tanh")


# fused and tied, as in nanoGPT ---------------------------------------------------------------------------------------


class LayerNorm(nn.Module):
    """With or without a bias, which torch's own could not do for a long time."""

    def __init__(self, width, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.eps = eps

    def forward(self, x):
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class CausalSelfAttention(nn.Module):
    """q, k and v in one projection; a mask kept in a buffer."""

    def __init__(self, config):
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.n_head = config.n_head
        mask = torch.tril(torch.ones(config.block_size, config.block_size))
        self.register_buffer("bias", mask.view(1, 1, config.block_size, config.block_size))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = (part.view(batch, time, self.n_head, -1).transpose(1, 2) for part in self.c_attn(x).split(width, 2))
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))
        scores = scores.masked_fill(self.bias[:, :, :time, :time] == 0, float("-inf"))
        mixed = functional.softmax(scores, -1) @ v
        return self.c_proj(mixed.transpose(1, 2).contiguous().view(batch, time, width))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, config.n_inner, bias=config.bias)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(config.n_inner, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x):
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = LayerNorm(config.n_embd, config.bias, config.eps)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd, config.bias, config.eps)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """forward(ids, targets=None) returns (logits, loss); the head is tied."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "drop": nn.Dropout(0.0),
                "h": nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
                "ln_f": LayerNorm(config.n_embd, config.bias, config.eps),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight

    def forward(self, ids, targets=None):
        time = ids.size(1)
        if time > self.config.block_size:
            raise ValueError(f"{time} ids are more than the block size of {self.config.block_size}")
        x = self.transformer["wte"](ids) + self.transformer["wpe"](torch.arange(time, device=ids.device))
        for block in self.transformer["h"]:
            x = block(x)
        logits = self.lm_head(self.transformer["ln_f"](x))
        loss = None if targets is None else functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss


def nano(config, bias=True):
    """nanoGPT's names for the sizes."""
    known = config.as_dict()
    width = known["width"]
    return SimpleNamespace(
        vocab_size=known.get("vocab_size"),
        block_size=known["context"],
        n_embd=width,
        n_inner=known.get("hidden", 4 * width),
        n_head=known.get("heads", 1),
        n_layer=known.get("layers"),
        bias=bias,
        eps=known.get("norm_eps", known.get("eps", 1e-5)),
    )


FACTORIES: dict[str, Any] = {
    "gelu": lambda config: nn.GELU(approximate="tanh"),
    "softmax": lambda config: nn.Softmax(dim=config.dim),
    "token_embedding": lambda config: nn.Embedding(config.vocab_size, config.width),
    "learned_positions": lambda config: nn.Embedding(config.context, config.width),
    "layer_norm": lambda config: LayerNorm(config.width, eps=config.eps),
    "attention": lambda config: CausalSelfAttention(nano(config)),
    "mlp": lambda config: MLP(nano(config)),
    "block": lambda config: Block(nano(config)),
    "gpt2": lambda config: GPT(nano(config)),
}


def module_executor(contracts, middleware=None, factories=None, **declared):
    """The components as modules behind an executor. ``declared``: further words of @implements, for all of them."""
    chosen = FACTORIES if factories is None else factories
    adapters = {
        name: ModuleAdapter(Declaration(name, factory, **declared), contracts[name])
        for name, factory in chosen.items()
        if name in contracts
    }
    return Executor("torch modules", adapters, contracts, middleware=middleware)


# other ways to write them --------------------------------------------------------------------------------------------


class SeparateAttention(nn.Module):
    """q, k and v each in a layer of its own, with or without biases."""

    def __init__(self, width, heads, bias=True):
        super().__init__()
        self.W_query = nn.Linear(width, width, bias=bias)
        self.W_key = nn.Linear(width, width, bias=bias)
        self.W_value = nn.Linear(width, width, bias=bias)
        self.out_proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x):
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.W_query, self.W_key, self.W_value)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))


class Head(nn.Module):
    """One head of the lectures' kind."""

    def __init__(self, width, size, context):
        super().__init__()
        self.key = nn.Linear(width, size, bias=False)
        self.query = nn.Linear(width, size, bias=False)
        self.value = nn.Linear(width, size, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(context, context)))

    def forward(self, x):
        time = x.shape[1]
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * self.key.out_features**-0.5
        return functional.softmax(scores.masked_fill(self.tril[:time, :time] == 0, float("-inf")), -1) @ self.value(x)


class HeadsAttention(nn.Module):
    """A list of heads, side by side."""

    def __init__(self, width, heads, context):
        super().__init__()
        self.heads = nn.ModuleList([Head(width, width // heads, context) for _ in range(heads)])
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], -1))


class PerHeadAttention(nn.Module):
    """Three-dimensional weights [head, in, out], as in TransformerLens."""

    def __init__(self, width, heads):
        super().__init__()
        size = width // heads
        for name in "QKV":
            setattr(self, f"W_{name}", nn.Parameter(torch.zeros(heads, width, size)))
            setattr(self, f"b_{name}", nn.Parameter(torch.zeros(heads, size)))
        self.W_O = nn.Parameter(torch.zeros(heads, size, width))
        self.b_O = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        q, k, v = (
            torch.einsum("btd,hdk->bhtk", x, getattr(self, f"W_{n}")) + getattr(self, f"b_{n}")[:, None] for n in "QKV"
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return torch.einsum("bhtk,hkd->btd", mixed, self.W_O) + self.b_O


class Conv1D(nn.Module):
    """A projection whose weight is [in, out], as in transformers."""

    def __init__(self, out, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, out))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x):
        return x @ self.weight + self.bias


class ConvAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = Conv1D(3 * width, width), Conv1D(width, width), heads

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.c_attn(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(-2))


class BareAttention(nn.Module):
    """Square bare matrices, kept [in, out] where ``turned``."""

    def __init__(self, width, heads, turned):
        super().__init__()
        for name in ("wq", "wk", "wv", "wo"):
            setattr(self, name, nn.ParameterDict({"weight": nn.Parameter(torch.zeros(width, width))}))
        self.heads, self.turned = heads, turned

    def forward(self, x):
        def through(name, value):
            weight = getattr(self, name)["weight"]
            return value @ (weight if self.turned else weight.T)

        q, k, v = (through(name, x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("wq", "wk", "wv"))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return through("wo", mixed.transpose(1, 2).flatten(-2))


class RaschkaBlock(nn.Module):
    """Names of LLMs-from-scratch: att, ff.layers, norm1.scale."""

    def __init__(self, width, hidden, heads, bias, eps):
        super().__init__()
        self.att = SeparateAttention(width, heads, bias)
        self.ff = nn.Module()
        self.ff.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU("tanh"), nn.Linear(hidden, width))
        self.norm1, self.norm2 = ScaleShift(width, eps), ScaleShift(width, eps)

    def forward(self, x):
        x = x + self.att(self.norm1(x))
        return x + self.ff.layers(self.norm2(x))


class ScaleShift(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.scale, self.shift, self.eps = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), eps

    def forward(self, x):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(variance + self.eps) + self.shift


class UntiedGPT(nn.Module):
    """Names of LLMs-from-scratch, with a head of its own."""

    def __init__(self, config, bias=True):
        super().__init__()
        width, eps = config.width, config.as_dict().get("norm_eps", 1e-5)
        self.tok_emb = nn.Embedding(config.vocab_size, width)
        self.pos_emb = nn.Embedding(config.context, width)
        self.trf_blocks = nn.Sequential(
            *[RaschkaBlock(width, 4 * width, config.heads, bias, eps) for _ in range(config.layers)]
        )
        self.final_norm = ScaleShift(width, eps)
        self.out_head = nn.Linear(width, config.vocab_size, bias=False)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1], device=ids.device))
        return self.out_head(self.final_norm(self.trf_blocks(x)))
