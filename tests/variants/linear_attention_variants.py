"""Right attention by products of features that differs in how it gets there; none of it may fail a claim."""

import torch
from torch.nn import functional


def feature_map(x):
    return functional.elu(x) + 1


def linear_attention_in_parallel(q, k, v):
    """All weights at once, a triangle of them."""
    weights = torch.einsum("...tk,...sk->...ts", feature_map(q), feature_map(k)).tril()
    return torch.einsum("...ts,...sv->...tv", weights / weights.sum(-1, keepdim=True), v)


def linear_attention_step_by_step(q, k, v):
    """A recurrent network."""
    state, total, rows = 0, 0, []
    for query, key, value in zip(*(t.unbind(-2) for t in (feature_map(q), feature_map(k), v)), strict=True):
        state = state + key[..., :, None] * value[..., None, :]
        total = total + key
        rows.append((query[..., None, :] @ state)[..., 0, :] / (query * total).sum(-1)[..., None])
    return torch.stack(rows, dim=-2)


def linear_attention_in_chunks(q, k, v):
    """Three positions at a time: a triangle within, the state of what came before."""
    q, k = feature_map(q), feature_map(k)
    state, total, outs = 0.0, 0.0, []
    for a, b, c in zip(q.split(3, -2), k.split(3, -2), v.split(3, -2), strict=True):
        inside = (a @ b.mT).tril()
        top = inside @ c + (a @ state if torch.is_tensor(state) else 0)
        bottom = inside.sum(-1, keepdim=True) + (a @ total if torch.is_tensor(total) else 0)
        outs.append(top / bottom)
        state, total = state + b.mT @ c, total + b.sum(-2).unsqueeze(-1)
    return torch.cat(outs, -2)


def linear_attention_with_ones(q, k, v):
    """The denominator as one more value of 1."""
    q, k = feature_map(q), feature_map(k)
    more = torch.cat([v, torch.ones_like(v[..., :1])], -1)
    out = ((q @ k.transpose(-1, -2)) * torch.ones(q.shape[-2], q.shape[-2], dtype=q.dtype).tril()) @ more
    return out[..., :-1] / out[..., -1:]


def linear_attention_by_cumsum(q, k, v):
    """The order of products that libraries write; keys divided first."""
    q, k = feature_map(q), feature_map(k)
    inverse = 1.0 / torch.einsum("...k,...k->...", q, k.cumsum(-2))
    context = torch.einsum("...k,...v->...kv", k, v).cumsum(-3)
    return torch.einsum("...kv,...k,...->...v", context, q, inverse)


def linear_attention_in_float32(q, k, v):
    return linear_attention_by_cumsum(q.float(), k.float(), v.float()).to(v.dtype)


_ALL = (
    linear_attention_in_parallel,
    linear_attention_step_by_step,
    linear_attention_in_chunks,
    linear_attention_with_ones,
    linear_attention_by_cumsum,
    linear_attention_in_float32,
)

VARIANTS = {function.__name__.replace("_", " "): {"linear_attention": function} for function in _ALL}
