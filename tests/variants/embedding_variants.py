"""Right implementations of the two look-up tables that differ in how they get there; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


def _within(ids, size):
    if bool(((ids < 0) | (ids >= size)).any()):
        raise IndexError("an id is outside the table")


def by_functional_embedding(ids, weight):
    return functional.embedding(ids, weight)


def by_sparse_embedding(ids, weight):
    return functional.embedding(ids, weight, sparse=True)


def by_one_hot_product(ids, weight):
    return functional.one_hot(ids, weight.shape[0]).to(weight.dtype) @ weight


def by_comparison_and_einsum(ids, weight):
    _within(ids, weight.shape[0])
    hot = (ids[..., None] == torch.arange(weight.shape[0], device=ids.device)).to(weight.dtype)
    return torch.einsum("...v,vd->...d", hot, weight)


def by_index_select(ids, weight):
    return weight.index_select(0, ids.reshape(-1)).reshape(*ids.shape, weight.shape[1])


def by_indexing(ids, weight):
    _within(ids, weight.shape[0])
    return weight[ids]


def by_gather(ids, weight):
    flat = ids.reshape(-1, 1).expand(-1, weight.shape[1])
    return weight.gather(0, flat).reshape(*ids.shape, weight.shape[1])


def by_take(ids, weight):
    _within(ids, weight.shape[0])
    width = weight.shape[1]
    return weight.take(ids[..., None] * width + torch.arange(width))


def by_stacking_rows(ids, weight):
    _within(ids, weight.shape[0])
    rows = weight.unbind(0)
    flat = [rows[i] for i in ids.reshape(-1).tolist()]
    return torch.stack(flat).reshape(*ids.shape, weight.shape[1])


def by_unique(ids, weight):
    _within(ids, weight.shape[0])
    distinct, inverse = torch.unique(ids, return_inverse=True)
    return weight[distinct][inverse]


def by_a_module(ids, weight):
    table = nn.utils.skip_init(nn.Embedding, *weight.shape, dtype=weight.dtype)
    return torch.func.functional_call(table, {"weight": weight}, (ids,))


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, ids, weight):
        ctx.save_for_backward(ids)
        ctx.size = weight.shape[0]
        return weight[ids]

    @staticmethod
    def backward(ctx, gradient):
        (ids,) = ctx.saved_tensors
        width = gradient.shape[-1]
        table = gradient.new_zeros(ctx.size, width)
        return None, table.index_add(0, ids.reshape(-1), gradient.reshape(-1, width))


def by_an_own_backward(ids, weight):
    _within(ids, weight.shape[0])
    return _Rows.apply(ids, weight)


_LOOKUPS = (
    by_functional_embedding,
    by_sparse_embedding,
    by_one_hot_product,
    by_comparison_and_einsum,
    by_index_select,
    by_indexing,
    by_gather,
    by_take,
    by_stacking_rows,
    by_unique,
    by_a_module,
    by_an_own_backward,
)


def _positions(lookup):
    def learned_positions(positions, weight):
        return lookup(positions, weight)

    return learned_positions


def by_slicing(positions, weight):
    """A run of consecutive positions is a slice of the table."""
    _within(positions, weight.shape[0])
    first = int(positions.reshape(-1)[0])
    run = torch.arange(first, first + positions.shape[-1])
    if bool((positions == run).all()):
        return weight[first : first + positions.shape[-1]].expand(*positions.shape, weight.shape[1])
    return weight[positions]


VARIANTS = {
    lookup.__name__.removeprefix("by_"): {"token_embedding": lookup, "learned_positions": _positions(lookup)}
    for lookup in _LOOKUPS
} | {"slicing": {"learned_positions": by_slicing}}
