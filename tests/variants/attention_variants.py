"""Right implementations of causal self-attention that differ in how they get there; none of them may fail a claim."""

import math

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def _head_size(x, n_heads):
    if n_heads < 1 or x.shape[-1] % n_heads:
        raise ValueError(f"{n_heads} heads do not divide a width of {x.shape[-1]}")
    return x.shape[-1] // n_heads


def _future(time, other=None):
    return torch.ones(time, other or time, dtype=torch.bool).triu(1)


def _between_projections(core):
    """An attention from ``core(q, k, v)`` on [batch, heads, time, head size]."""

    def attention(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
        size = _head_size(x, n_heads)
        qkv = functional.linear(x, qkv_weight, qkv_bias).split(x.shape[-1], dim=-1)
        q, k, v = (part.unflatten(-1, (n_heads, size)).transpose(1, 2) for part in qkv)
        mixed = core(q, k, v).transpose(1, 2).flatten(2)
        return functional.linear(mixed, out_weight, out_bias)

    attention.__name__ = core.__name__
    return attention


# how scores become a mixture -----------------------------------------------------------------------------------------


@_between_projections
def fused_and_causal(q, k, v):
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


@_between_projections
def fused_with_a_bool_mask(q, k, v):
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=~_future(q.shape[-2]))


@_between_projections
def fused_with_an_additive_mask(q, k, v):
    mask = torch.full((q.shape[-2],) * 2, -math.inf, dtype=q.dtype).triu(1)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@_between_projections
def masked_with_the_least_finite_number(q, k, v):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.masked_fill(_future(q.shape[-2]), torch.finfo(q.dtype).min).softmax(-1) @ v


@_between_projections
def masked_by_adding_the_least_finite_number(q, k, v):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return (scores + torch.full_like(scores, torch.finfo(q.dtype).min).triu(1)).softmax(-1) @ v


@_between_projections
def masked_by_subtracting_1e10(q, k, v):
    """As openai/gpt-2 writes it: w * b - 1e10 * (1 - b), and a softmax of its own."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    seen = torch.ones_like(scores).tril()
    scores = scores * seen - 1e10 * (1 - seen)
    exponential = torch.exp(scores - scores.amax(-1, keepdim=True))
    return exponential / exponential.sum(-1, keepdim=True) @ v


@_between_projections
def masked_by_where(q, k, v):
    scores = torch.where(_future(q.shape[-2]), -math.inf, q @ k.mT / math.sqrt(q.shape[-1]))
    return scores.softmax(-1) @ v


@_between_projections
def masked_after_the_exponential(q, k, v):
    """Hidden keys are struck out of numerator and denominator; the maximum is taken over the seen ones."""
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    future = _future(q.shape[-2])
    highest = scores.detach().masked_fill(future, -math.inf).amax(-1, keepdim=True)
    weights = torch.exp((scores - highest).masked_fill(future, 0.0)) * (~future)
    return weights @ v / weights.sum(-1, keepdim=True)


@_between_projections
def by_log_sum_exp(q, k, v):
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
    return torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True)) @ v


@_between_projections
def query_scaled_first(q, k, v):
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return torch.softmax(scores.masked_fill(_future(q.shape[-2]), -math.inf), dim=-1) @ v


@_between_projections
def both_scaled_by_a_fourth_root(q, k, v):
    scale = q.shape[-1] ** -0.25
    scores = (q * scale) @ (k * scale).mT
    return scores.masked_fill(_future(q.shape[-2]), -math.inf).softmax(-1) @ v


@_between_projections
def scaled_by_a_float32_tensor(q, k, v):
    """The root of the head size is a float32 number, whatever it divides. Once a false alarm."""
    scores = q @ k.mT / torch.sqrt(torch.tensor(q.shape[-1]))
    return scores.masked_fill(_future(q.shape[-2]), -math.inf).softmax(-1) @ v


@_between_projections
def softmax_in_float32(q, k, v):
    """The weights are taken in float32 and cast back, whatever comes in."""
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
    return scores.softmax(-1, dtype=torch.float32).to(q.dtype) @ v


@_between_projections
def by_einsum(q, k, v):
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(_future(q.shape[-2]), -math.inf).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", weights, v)


@_between_projections
def heads_folded_into_the_batch(q, k, v):
    folded = [t.flatten(0, 1) for t in (q, k, v)]
    scores = torch.bmm(folded[0], folded[1].mT) / math.sqrt(q.shape[-1])
    weights = scores.masked_fill(_future(q.shape[-2]), -math.inf).softmax(-1)
    return torch.bmm(weights, folded[2]).unflatten(0, q.shape[:2])


@_between_projections
def by_baddbmm(q, k, v):
    """The mask is what the scaled product is added to."""
    mask = torch.zeros(q.shape[-2], q.shape[-2], dtype=q.dtype).masked_fill(_future(q.shape[-2]), -math.inf)
    queries, keys = q.flatten(0, 1), k.flatten(0, 1)
    scores = torch.baddbmm(mask.expand(len(queries), -1, -1), queries, keys.mT, alpha=1 / math.sqrt(q.shape[-1]))
    return scores.softmax(-1).unflatten(0, q.shape[:2]) @ v


@_between_projections
def keys_first(q, k, v):
    """Scores with a row per key, softmax down the columns, values from the left."""
    scores = (k @ q.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]).mT, -math.inf)
    return (v.mT @ scores.softmax(-2)).mT


@_between_projections
def query_by_query(q, k, v):
    """Each position sees the keys kept so far, as in decoding with a cache."""
    out = []
    for t in range(q.shape[-2]):
        weights = (q[..., t : t + 1, :] @ k[..., : t + 1, :].mT / math.sqrt(q.shape[-1])).softmax(-1)
        out.append(weights @ v[..., : t + 1, :])
    return torch.cat(out, -2)


@_between_projections
def in_blocks_of_keys(q, k, v):
    """Online softmax: a running maximum and a running sum over blocks of two keys (Milakov & Gimelshein 2018)."""
    time = q.shape[-2]
    highest = torch.full((*q.shape[:-1], 1), -math.inf, dtype=q.dtype)
    total, mixed = torch.zeros_like(highest), torch.zeros_like(q)
    future = _future(time)
    for start in range(0, time, 2):
        block = slice(start, start + 2)
        scores = (q @ k[..., block, :].mT / math.sqrt(q.shape[-1])).masked_fill(future[:, block], -math.inf)
        higher = torch.maximum(highest, scores.detach().amax(-1, keepdim=True))
        known = higher.masked_fill(higher == -math.inf, 0.0)
        fade, weights = torch.exp(highest - known), torch.exp(scores - known)
        total = total * fade + weights.sum(-1, keepdim=True)
        mixed = mixed * fade + weights @ v[..., block, :]
        highest = higher
    return mixed / total


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v):
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
        weights = scores.softmax(-1)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, weights = ctx.saved_tensors
        slope = gradient @ v.mT
        scores = weights * (slope - (slope * weights).sum(-1, keepdim=True)) / math.sqrt(q.shape[-1])
        return scores @ k, scores.mT @ q, weights.mT @ gradient


@_between_projections
def with_its_own_backward(q, k, v):
    return _Attention.apply(q, k, v)


@_between_projections
def mapped_over_heads(q, k, v):
    def one_head(q, k, v):
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
        return scores.softmax(-1) @ v

    return torch.func.vmap(one_head, in_dims=1, out_dims=1)(q, k, v)


@_between_projections
def with_dropout_of_zero(q, k, v):
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
    return functional.dropout(scores.softmax(-1), 0.0, training=True) @ v


# how the projections are made ----------------------------------------------------------------------------------------


def _mixture(q, k, v):
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(_future(q.shape[-2]), -math.inf)
    return scores.softmax(-1) @ v


def three_projections(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    size = _head_size(x, n_heads)
    biases = (None, None, None) if qkv_bias is None else qkv_bias.chunk(3)
    parts = [functional.linear(x, w, b) for w, b in zip(qkv_weight.chunk(3), biases, strict=True)]
    q, k, v = (part.view(*x.shape[:2], n_heads, size).permute(0, 2, 1, 3) for part in parts)
    mixed = _mixture(q, k, v).permute(0, 2, 1, 3).contiguous().view(x.shape)
    return functional.linear(mixed, out_weight, out_bias)


def one_view_of_three_heads_and_size(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    size = _head_size(x, n_heads)
    qkv = functional.linear(x, qkv_weight, qkv_bias).view(*x.shape[:2], 3, n_heads, size).permute(2, 0, 3, 1, 4)
    mixed = _mixture(*qkv.unbind(0))
    return functional.linear(mixed.transpose(1, 2).reshape(x.shape), out_weight, out_bias)


def head_by_head(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """A loop over heads; each goes through its own columns of the out projection, and the results are summed."""
    size, width = _head_size(x, n_heads), x.shape[-1]
    total = 0.0
    for head in range(n_heads):
        rows = [slice(part * width + head * size, part * width + (head + 1) * size) for part in range(3)]
        q, k, v = (functional.linear(x, qkv_weight[r], None if qkv_bias is None else qkv_bias[r]) for r in rows)
        total = total + _mixture(q, k, v) @ out_weight[:, head * size : (head + 1) * size].mT
    return total if out_bias is None else total + out_bias


def heads_in_the_einsum(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """Weights as [3, H, K, D] and [D, H, K], heads never merged (as TransformerLens keeps them)."""
    size = _head_size(x, n_heads)
    weight = qkv_weight.view(3, n_heads, size, -1)
    q, k, v = torch.einsum("btd,phkd->pbhtk", x, weight)
    if qkv_bias is not None:
        q, k, v = (t + b[:, None] for t, b in zip((q, k, v), qkv_bias.view(3, n_heads, size), strict=True))
    out = torch.einsum("bhtk,dhk->btd", _mixture(q, k, v), out_weight.view(-1, n_heads, size))
    return out if out_bias is None else out + out_bias


def with_weights_stored_in_out(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """The projections of GPT-2's own checkpoint, [in, out], by addmm on flattened rows."""

    def affine(value, weight, bias):
        stored = weight.t().contiguous()
        flat = value.reshape(-1, value.shape[-1])
        return (flat @ stored if bias is None else torch.addmm(bias, flat, stored)).view(*value.shape[:-1], -1)

    size = _head_size(x, n_heads)
    parts = affine(x, qkv_weight, qkv_bias).split(x.shape[-1], dim=2)
    q, k, v = (part.reshape(*x.shape[:2], n_heads, size).transpose(1, 2) for part in parts)
    return affine(_mixture(q, k, v).transpose(1, 2).reshape(x.shape), out_weight, out_bias)


def time_first(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """[T, B, D] inside; what comes back is a transposed view."""
    size = _head_size(x, n_heads)
    turned = x.transpose(0, 1)
    qkv = functional.linear(turned, qkv_weight, qkv_bias).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (n_heads, size)).permute(1, 2, 0, 3) for part in qkv)
    mixed = _mixture(q, k, v).permute(2, 0, 1, 3).flatten(2)
    return functional.linear(mixed, out_weight, out_bias).transpose(0, 1)


def of_torch(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """torch's own function behind nn.MultiheadAttention."""
    _head_size(x, n_heads)
    mask = torch.full((x.shape[1],) * 2, -math.inf, dtype=x.dtype).triu(1)
    turned = x.transpose(0, 1)
    out, _ = functional.multi_head_attention_forward(
        turned,
        turned,
        turned,
        x.shape[-1],
        n_heads,
        qkv_weight,
        qkv_bias,
        None,
        None,
        False,
        0.0,
        out_weight,
        out_bias,
        training=False,
        need_weights=False,
        attn_mask=mask,
    )
    return out.transpose(0, 1)


def checkpointed(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    arguments = (x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)
    return checkpoint(three_projections, *arguments, use_reentrant=False)


def upcast(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    """Always in float32 inside."""
    wide = [None if t is None else t.float() for t in (qkv_weight, qkv_bias, out_weight, out_bias)]
    return three_projections(x.float(), *wide, n_heads).to(x.dtype)


def of_float32_only(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return three_projections(x, qkv_weight, qkv_bias, out_weight, out_bias, n_heads)


ATTENTIONS = (
    fused_and_causal,
    fused_with_a_bool_mask,
    fused_with_an_additive_mask,
    masked_with_the_least_finite_number,
    masked_by_adding_the_least_finite_number,
    masked_by_subtracting_1e10,
    masked_by_where,
    masked_after_the_exponential,
    by_log_sum_exp,
    query_scaled_first,
    both_scaled_by_a_fourth_root,
    softmax_in_float32,
    scaled_by_a_float32_tensor,
    by_einsum,
    heads_folded_into_the_batch,
    by_baddbmm,
    keys_first,
    query_by_query,
    in_blocks_of_keys,
    with_its_own_backward,
    mapped_over_heads,
    with_dropout_of_zero,
    three_projections,
    one_view_of_three_heads_and_size,
    head_by_head,
    heads_in_the_einsum,
    with_weights_stored_in_out,
    time_first,
    of_torch,
    checkpointed,
    upcast,
    of_float32_only,
)

VARIANTS = {"attention " + function.__name__.replace("_", " "): {"attention": function} for function in ATTENTIONS}
