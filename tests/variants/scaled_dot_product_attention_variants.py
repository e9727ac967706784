"""Right implementations of scaled_dot_product_attention that differ in how they get there; none may fail a claim."""

import math

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


def sdpa_of_torch(query, key, value, attn_mask=None, dropout_p=0.0):
    """torch's own names."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p)


def sdpa_of_torch_in_plain_steps(q, k, v, mask=None):
    with sdpa_kernel(SDPBackend.MATH):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def sdpa_by_masked_fill(q, k, v, mask=None):
    """As a course would write it, with zeros for a query that may attend to nothing."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    return torch.nan_to_num(torch.softmax(scores, dim=-1), 0.0) @ v


def sdpa_by_einsum(Q, K, V, mask):
    scores = torch.einsum("...qd,...kd->...qk", Q, K) * Q.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf)
    weights = functional.softmax(scores, dim=-1)
    weights = weights if mask is None else torch.where(mask.any(-1, keepdim=True), weights, 0.0)
    return torch.einsum("...qk,...kv->...qv", weights, V)


def sdpa_with_an_additive_mask(q, k, v, mask=None):
    scores = torch.matmul(q / math.sqrt(q.shape[-1]), k.mT)
    if mask is not None:
        scores = scores + torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -math.inf)
    return torch.matmul(scores.softmax(-1).nan_to_num(), v)


def sdpa_both_scaled_by_the_fourth_root(q, k, v, mask=None):
    root = q.shape[-1] ** 0.25
    scores = (q / root) @ (k / root).transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return (scores.softmax(-1) @ v).nan_to_num(0.0)


def sdpa_divided_at_the_end(q, k, v, mask=None):
    """Exponentials times values first, the division last, as fused kernels do; zeros where nothing is seen."""
    scores = q @ k.mT * (1.0 / math.sqrt(q.shape[-1]))
    seen = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    highest = scores.masked_fill(~seen, -math.inf).amax(-1, keepdim=True).detach()
    exponential = torch.exp(scores - highest.nan_to_num(neginf=0.0)).masked_fill(~seen, 0.0)
    exponential = torch.where(seen, torch.exp(torch.where(seen, scores - highest.clamp(min=-1e30), 0.0)), 0.0).to(
        q.dtype
    )
    total = exponential.sum(-1, keepdim=True)
    return (exponential @ v) / torch.where(total == 0, 1.0, total)


def sdpa_online(q, k, v, mask=None):
    """Key by key with a running maximum and a running sum."""
    keys = k.shape[-2]
    scale = 1.0 / math.sqrt(q.shape[-1])
    highest = q.new_full((*q.shape[:-1], 1), -1e30)
    total, mixed = torch.zeros_like(highest), torch.zeros((*q.shape[:-1], v.shape[-1]), dtype=q.dtype)
    if q.dtype == torch.float16:
        highest = highest.clamp(min=-6e4)
    for s in range(keys):
        score = (q * k[..., s : s + 1, :]).sum(-1, keepdim=True) * scale
        seen = torch.ones_like(score, dtype=torch.bool) if mask is None else mask[..., s : s + 1].expand(score.shape)
        larger = torch.where(seen, torch.maximum(highest, score), highest).detach()
        before = torch.exp(highest - larger)
        here = torch.where(seen, torch.exp(torch.where(seen, score - larger, 0.0)), 0.0)
        total, mixed = total * before + here, mixed * before + here * v[..., s : s + 1, :]
        highest = larger
    return mixed / torch.where(total == 0, 1.0, total)


def sdpa_row_by_row(q, k, v, mask=None):
    """Each row of the batch in a loop."""
    if q.dim() == 2:
        return sdpa_of_torch_in_plain_steps(q, k, v, mask)
    masks = [mask] * len(q) if mask is None or mask.dim() == 2 else list(mask)
    return torch.stack([sdpa_row_by_row(*row) for row in zip(q, k, v, masks, strict=True)])


def sdpa_by_bmm(q, k, v, mask=None):
    """The leading axes flattened, as torch.bmm asks for."""
    leading = q.shape[:-2]
    scores = torch.bmm(q.reshape(-1, *q.shape[-2:]), k.reshape(-1, *k.shape[-2:]).transpose(1, 2)) / math.sqrt(
        q.shape[-1]
    )
    if mask is not None:
        hidden = ~mask.expand(*leading, *mask.shape[-2:]).reshape(scores.shape)
        scores = scores.masked_fill(hidden, -math.inf)
    weights = functional.softmax(scores, -1).nan_to_num()
    return torch.bmm(weights, v.reshape(-1, *v.shape[-2:])).reshape(*leading, q.shape[-2], v.shape[-1])


def sdpa_without_a_mask(q, k, v):
    """It takes no mask, and is judged without."""
    return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v


def sdpa_softmax_in_float32(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1, dtype=torch.float32).nan_to_num().to(q.dtype) @ v


def sdpa_upcast(q, k, v, mask=None):
    """Always in float32 inside."""
    return sdpa_of_torch_in_plain_steps(q.float(), k.float(), v.float(), mask).to(q.dtype)


def sdpa_of_float32_only(q, k, v, mask=None):
    if q.dtype != torch.float32:
        raise TypeError(f"expected float32, got {q.dtype}")
    return functional.scaled_dot_product_attention(q, k, v, mask)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask):
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        weights = torch.softmax(scores if mask is None else scores.masked_fill(~mask, -math.inf), -1)
        if mask is not None:
            weights = weights.masked_fill(~mask, 0.0)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, weights = ctx.saved_tensors
        inner = gradient @ v.mT
        inner = weights * (inner - (inner * weights).sum(-1, keepdim=True)) / math.sqrt(q.shape[-1])
        return inner @ k, inner.mT @ q, weights.mT @ gradient, None


def sdpa_with_its_own_backward(q, k, v, mask=None):
    return _Attention.apply(q, k, v, mask)


def sdpa_scaled_by_a_float32_tensor(q, k, v, mask=None):
    """The root of the head size as a float32 tensor."""
    scores = q @ k.transpose(-1, -2) / torch.sqrt(torch.tensor(q.shape[-1]))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1).nan_to_num() @ v


_ALL = (
    sdpa_scaled_by_a_float32_tensor,
    sdpa_of_torch,
    sdpa_of_torch_in_plain_steps,
    sdpa_by_masked_fill,
    sdpa_by_einsum,
    sdpa_with_an_additive_mask,
    sdpa_both_scaled_by_the_fourth_root,
    sdpa_divided_at_the_end,
    sdpa_online,
    sdpa_row_by_row,
    sdpa_by_bmm,
    sdpa_without_a_mask,
    sdpa_softmax_in_float32,
    sdpa_upcast,
    sdpa_of_float32_only,
    sdpa_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"scaled_dot_product_attention": function} for function in _ALL}
