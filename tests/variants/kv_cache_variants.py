"""Right caches of keys and values that differ in what they keep and how; none of them may fail a claim."""

import math

import torch
from torch import nn
from torch.nn import functional


class Preallocated:
    """Memory for the whole context, filled by index; the mask is cut from a square one."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
        self.qkv, self.out = (qkv_weight, qkv_bias), (out_weight, out_bias)
        self.heads, self.context, self.at = n_heads, context, 0
        self.mask = torch.ones(context, context, dtype=torch.bool).tril()
        self.k = self.v = None
        if out_weight.shape[0] % n_heads:
            raise ValueError("heads")

    def prefill(self, x):
        batch, time, width = x.shape
        q, k, v = functional.linear(x, *self.qkv).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.k is None:
            self.k = torch.full((batch, self.heads, self.context, width // self.heads), float("nan"), dtype=k.dtype)
            self.v = self.k.clone()
        end = self.at + time
        if end > self.context:
            raise IndexError(f"context {self.context} is full")
        self.k[:, :, self.at : end] = k
        self.v[:, :, self.at : end] = v
        mask = self.mask[self.at : end, :end]
        self.at = end
        mixed = functional.scaled_dot_product_attention(q, self.k[:, :, :end], self.v[:, :, :end], attn_mask=mask)
        return functional.linear(mixed.transpose(1, 2).reshape(x.shape), *self.out)

    step = extend = prefill

    def length(self):
        return torch.tensor(self.at)

    def reset(self):
        self.at = 0


class ModuleWithPast(nn.Module):
    """As people write it: a past that is None or a tuple, is_causal in the prefill alone, no extend."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
        super().__init__()
        width = out_weight.shape[0]
        assert width % n_heads == 0
        self.c_attn = nn.Linear(width, 3 * width, bias=qkv_bias is not None, dtype=qkv_weight.dtype)
        self.c_proj = nn.Linear(width, width, bias=out_bias is not None, dtype=qkv_weight.dtype)
        for layer, weight, bias in ((self.c_attn, qkv_weight, qkv_bias), (self.c_proj, out_weight, out_bias)):
            layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
        self.n_head, self.block_size, self.past = n_heads, context, None

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
        if self.past is not None:
            k, v = torch.cat((self.past[0], k), dim=-2), torch.cat((self.past[1], v), dim=-2)
        if k.size(2) > self.block_size:
            raise ValueError("sequence too long")
        first, self.past = self.past is None, (k, v)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=first)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    def prefill(self, x):
        return self.forward(x)

    @torch.no_grad()
    def step(self, x):
        return self.forward(x)


class ListsOfPositions:
    """One position at a time, head by head, kept in Python lists; positions before heads."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
        if out_weight.shape[0] % n_heads:
            raise ValueError(f"{n_heads} heads")
        self.weights, self.n_heads, self.context = (qkv_weight, qkv_bias, out_weight, out_bias), n_heads, context
        self.reset()

    def reset(self):
        self.held = []

    def step(self, x):
        qkv_weight, qkv_bias, out_weight, out_bias = self.weights
        if len(self.held) == self.context:
            raise OverflowError("full")
        qkv = x[:, 0] @ qkv_weight.mT
        q, k, v = (qkv if qkv_bias is None else qkv + qkv_bias).chunk(3, -1)
        self.held.append((k, v))
        size = k.shape[-1] // self.n_heads
        heads = []
        for part in (slice(i * size, (i + 1) * size) for i in range(self.n_heads)):
            scores = torch.stack([(q[:, part] * key[:, part]).sum(-1) for key, _ in self.held], -1) / size**0.5
            weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
            heads.append(sum(weights[:, i, None] * value[:, part] for i, (_, value) in enumerate(self.held)))
        out = torch.cat(heads, -1) @ out_weight.mT
        return (out if out_bias is None else out + out_bias).unsqueeze(1)

    def prefill(self, x):
        return torch.cat([self.step(x[:, i : i + 1]) for i in range(x.shape[1])], 1)

    extend = prefill

    def length(self):
        return len(self.held)


class RecomputesFromInputs:
    """Keeps the inputs and works everything out again: no saving, the same numbers."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
        self.arguments, self.context, self.seen = (qkv_weight, qkv_bias, out_weight, out_bias, n_heads), context, []

    def prefill(self, x):
        whole = torch.cat([*self.seen, x], 1)
        if whole.shape[1] > self.context:
            raise ValueError("too long")
        qkv_weight, qkv_bias, out_weight, out_bias, heads = self.arguments
        qkv = functional.linear(whole, qkv_weight, qkv_bias)
        q, k, v = torch.einsum("btphk->pbhtk", qkv.unflatten(-1, (3, heads, -1)))
        scores = torch.einsum("bhtk,bhsk->bhts", q / math.sqrt(q.shape[-1]), k)
        time = whole.shape[1]
        scores = scores + torch.full((time, time), float("-inf"), dtype=q.dtype).triu(1)
        mixed = torch.einsum("bhts,bhsk->bthk", scores.softmax(-1), v).flatten(-2)
        self.seen.append(x.clone())
        return functional.linear(mixed, out_weight, out_bias)[:, -x.shape[1] :]

    step = extend = prefill


class SoftmaxInFloat32(Preallocated):
    """Scores and weights in float32 at least, whatever comes in."""

    def prefill(self, x):
        time = x.shape[1]
        q, k, v = functional.linear(x, *self.qkv).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        if self.at:
            k, v = torch.cat([self.k, k], 2), torch.cat([self.v, v], 2)
        if k.shape[2] > self.context:
            raise ValueError("full")
        self.k, self.v, start = k, v, self.at
        self.at = start + time
        scores = (q @ k.mT).float() * (k.shape[-1] ** -0.5)
        later = torch.arange(self.at)[None, :] > torch.arange(start, self.at)[:, None]
        weights = torch.softmax(scores.masked_fill(later, torch.finfo(torch.float32).min), -1).to(x.dtype)
        return functional.linear((weights @ v).transpose(1, 2).flatten(2), *self.out)

    step = extend = prefill


def made_by_a_factory(qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
    return Preallocated(qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context)


VARIANTS = {
    "preallocated": {"kv_cache": Preallocated},
    "module with a past": {"kv_cache": ModuleWithPast},
    "lists of positions": {"kv_cache": ListsOfPositions},
    "recomputes from inputs": {"kv_cache": RecomputesFromInputs},
    "softmax in float32": {"kv_cache": SoftmaxInFloat32},
    "made by a factory": {"kv_cache": made_by_a_factory},
}
