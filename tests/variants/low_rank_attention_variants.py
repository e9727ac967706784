"""Right attention through projections along time that differs in how it gets there; none of it may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


def low_rank_of_torch(q, k, v, key_projection, value_projection):
    """The fused kernel on projected keys and values."""
    return functional.scaled_dot_product_attention(q, key_projection @ k, value_projection @ v)


def low_rank_by_linear_layers(q, k, v, key_projection, value_projection):
    """nn.Linear over the last axis of the transposed."""
    layers = [nn.Linear(e.shape[1], e.shape[0], bias=False, device="meta") for e in (key_projection, value_projection)]
    pairs = zip(layers, (key_projection, value_projection), (k, v), strict=True)
    k, v = (torch.func.functional_call(layer, {"weight": e}, (t.mT,)).mT for layer, e, t in pairs)
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


def low_rank_by_einsum(q, k, v, key_projection, value_projection):
    keys = torch.einsum("...sk,rs->...rk", k, key_projection)
    values = torch.einsum("...sv,rs->...rv", v, value_projection)
    scores = torch.einsum("...tk,...rk->...tr", q * q.shape[-1] ** -0.5, keys)
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
    return torch.einsum("...tr,...rv->...tv", weights, values)


def low_rank_scores_first(q, k, v, key_projection, value_projection):
    """Scores of all positions, projected before the softmax: the same products in another order."""
    scores = (q @ k.mT) @ key_projection.T / q.shape[-1] ** 0.5
    return torch.softmax(scores, -1) @ value_projection @ v


def low_rank_mixture_by_mixture(q, k, v, key_projection, value_projection):
    scores = [(q * (row[:, None] * k).sum(-2, keepdim=True)).sum(-1) for row in key_projection]
    weights = torch.stack(scores, -1).div(q.shape[-1] ** 0.5).softmax(-1)
    values = [(row[:, None] * v).sum(-2, keepdim=True) for row in value_projection]
    return sum(weights[..., r, None] * value for r, value in enumerate(values))


def low_rank_in_float32(q, k, v, key_projection, value_projection):
    wide = (t.float() for t in (q, k, v, key_projection, value_projection))
    return low_rank_by_einsum(*wide).to(q.dtype)


_ALL = (
    low_rank_of_torch,
    low_rank_by_linear_layers,
    low_rank_by_einsum,
    low_rank_scores_first,
    low_rank_mixture_by_mixture,
    low_rank_in_float32,
)

VARIANTS = {function.__name__.replace("_", " "): {"low_rank_attention": function} for function in _ALL}
