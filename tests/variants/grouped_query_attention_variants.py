"""Right attention with shared key and value heads that differs in how it gets there; none of it may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


def _checked(x, n_heads, n_kv_heads):
    if x.shape[-1] % n_heads or n_heads % n_kv_heads:
        raise ValueError("sizes do not divide")


def gqa_of_torch(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    """The fused kernel, which shares heads by itself."""
    _checked(x, n_heads, n_kv_heads)
    q = functional.linear(x, query_weight).unflatten(-1, (n_heads, -1)).transpose(1, 2)
    k, v = (functional.linear(x, w).unflatten(-1, (n_kv_heads, -1)).transpose(1, 2) for w in (key_weight, value_weight))
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return functional.linear(mixed.transpose(1, 2).flatten(2), out_weight)


def gqa_with_expanded_heads(x, wq, wk, wv, wo, n_heads, n_kv_heads):
    """repeat_kv as in Llama: expand, then reshape."""
    _checked(x, n_heads, n_kv_heads)
    B, T, D = x.shape
    size, shared = D // n_heads, n_heads // n_kv_heads
    q = (x @ wq.T).view(B, T, n_heads, size).transpose(1, 2)
    k, v = ((x @ w.T).view(B, T, n_kv_heads, size) for w in (wk, wv))
    k, v = (
        t[:, :, :, None, :].expand(B, T, n_kv_heads, shared, size).reshape(B, T, n_heads, size).transpose(1, 2)
        for t in (k, v)
    )
    scores = q @ k.transpose(2, 3) / size**0.5
    scores = scores + torch.full((T, T), float("-inf"), dtype=scores.dtype).triu(1)
    out = functional.softmax(scores.float() if x.dtype.itemsize == 2 else scores, dim=-1).type_as(q) @ v
    return out.transpose(1, 2).contiguous().view(B, T, -1) @ wo.T


def gqa_by_einsum(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    """Nothing is repeated: queries get an axis for the group."""
    _checked(x, n_heads, n_kv_heads)
    q = functional.linear(x, query_weight).unflatten(-1, (n_kv_heads, n_heads // n_kv_heads, -1))
    k, v = (functional.linear(x, w).unflatten(-1, (n_kv_heads, -1)) for w in (key_weight, value_weight))
    scores = torch.einsum("btgrk,bsgk->bgrts", q * q.shape[-1] ** -0.5, k)
    seen = torch.arange(x.shape[1])[:, None] >= torch.arange(x.shape[1])
    weights = torch.where(seen, scores, torch.tensor(float("-inf"), dtype=scores.dtype)).softmax(-1)
    return torch.einsum("bgrts,bsgk->btgrk", weights, v).flatten(2) @ out_weight.mT


def gqa_head_by_head(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    """A loop over the heads, each with the rows of its group; results are added, not joined."""
    _checked(x, n_heads, n_kv_heads)
    size, out = x.shape[-1] // n_heads, 0
    for head in range(n_heads):
        group = head * n_kv_heads // n_heads
        own, shared = slice(head * size, (head + 1) * size), slice(group * size, (group + 1) * size)
        q, k, v = x @ query_weight[own].T, x @ key_weight[shared].T, x @ value_weight[shared].T
        scores = torch.bmm(q, k.mT) / size**0.5
        weights = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
        out = out + weights @ v @ out_weight[:, own].T
    return out


def gqa_as_a_module(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    class Attention(nn.Module):
        def __init__(self, dim, n_heads, n_kv_heads):
            super().__init__()
            assert n_heads % n_kv_heads == 0
            size = dim // n_heads
            self.wq = nn.Linear(dim, n_heads * size, bias=False, device="meta")
            self.wk = nn.Linear(dim, n_kv_heads * size, bias=False, device="meta")
            self.wv = nn.Linear(dim, n_kv_heads * size, bias=False, device="meta")
            self.wo = nn.Linear(n_heads * size, dim, bias=False, device="meta")

        def forward(self, x):
            q = self.wq(x).unflatten(-1, (n_heads, -1)).transpose(1, 2)
            k, v = (w(x).unflatten(-1, (n_kv_heads, -1)).transpose(1, 2) for w in (self.wk, self.wv))
            k, v = (t.repeat_interleave(n_heads // n_kv_heads, 1) for t in (k, v))
            return self.wo(functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    tensors = {"wq.weight": query_weight, "wk.weight": key_weight, "wv.weight": value_weight, "wo.weight": out_weight}
    return torch.func.functional_call(Attention(x.shape[-1], n_heads, n_kv_heads), tensors, (x,))


def gqa_in_float32(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
    wide = (t.float() for t in (x, query_weight, key_weight, value_weight, out_weight))
    return gqa_of_torch(*wide, n_heads, n_kv_heads).to(x.dtype)


_ALL = (gqa_of_torch, gqa_with_expanded_heads, gqa_by_einsum, gqa_head_by_head, gqa_as_a_module, gqa_in_float32)

VARIANTS = {function.__name__.replace("_", " "): {"grouped_query_attention": function} for function in _ALL}
