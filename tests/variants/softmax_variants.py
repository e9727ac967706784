"""Right implementations of softmax that differ in how they get there; none of them may fail a claim."""

import math

import torch
from torch import nn
from torch.nn import functional


def softmax_of_torch(x, dim):
    return torch.softmax(x, dim)


def softmax_of_functional(input, dim=None, dtype=None):
    """torch.nn.functional's own names."""
    return functional.softmax(input, dim=dim, dtype=dtype)


def softmax_of_the_last_axis(x):
    """A helper that takes no dim; it is judged along the last axis alone."""
    exponential = torch.exp(x - x.amax(-1, keepdim=True))
    return exponential / exponential.sum(-1, keepdim=True)


def softmax_module(x, dim):
    return nn.Softmax(dim)(x)


def softmax_through_the_maximum(x, dim):
    """The gradient flows through the maximum too, where it cancels."""
    exponential = torch.exp(x - x.max(dim=dim, keepdim=True).values)
    return exponential / exponential.sum(dim=dim, keepdim=True)


def softmax_by_logsumexp(x, dim):
    return torch.exp(x - torch.logsumexp(x, dim, keepdim=True))


def softmax_by_log_softmax(x, dim):
    return functional.log_softmax(x, dim).exp()


def softmax_by_reciprocal(x, dim):
    exponential = (x - x.amax(dim, keepdim=True)).exp()
    return exponential * exponential.sum(dim, keepdim=True).reciprocal()


def softmax_axis_moved_last(x, dim):
    """The axis goes to the end and comes back."""
    moved = x.movedim(dim, -1)
    highest, _ = torch.max(moved, dim=-1, keepdim=True)
    exponential = torch.exp(moved - highest)
    return (exponential / torch.einsum("...k->...", exponential)[..., None]).movedim(-1, dim)


def softmax_in_powers_of_two(x, dim):
    """exp(d) = 2^(d / ln 2), as fused kernels take it."""
    powers = torch.exp2((x - x.amax(dim, keepdim=True)) * (1.0 / math.log(2.0)))
    return powers / powers.sum(dim, keepdim=True)


def softmax_online(x, dim):
    """One pass with a running maximum and a running sum (Milakov & Gimelshein 2018)."""
    entries = x.unbind(dim)
    highest, total = entries[0], torch.ones_like(entries[0])
    for entry in entries[1:]:
        larger = torch.maximum(highest, entry)
        before, here = (
            (highest - larger).nan_to_num(0.0, neginf=-math.inf),
            (entry - larger).nan_to_num(0.0, neginf=-math.inf),
        )
        total, highest = total * torch.exp(before) + torch.exp(here), larger
    return torch.exp(x - highest.unsqueeze(dim)) / total.unsqueeze(dim)


def softmax_of_empty_slices_is_zero(x, dim):
    """Zeros where every score is -inf."""
    nothing = (x == -math.inf).all(dim, keepdim=True)
    return torch.softmax(x.masked_fill(nothing, 0.0), dim).masked_fill(nothing, 0.0)


def softmax_upcast(x, dim):
    """Always in float32 inside."""
    return torch.softmax(x.float(), dim).to(x.dtype)


def softmax_upcast_to_double(x, dim):
    return torch.softmax(x, dim, dtype=torch.float64).to(x.dtype)


def softmax_of_float32_only(x, dim):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return softmax_through_the_maximum(x, dim)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dim):
        weights = torch.exp(x - x.amax(dim, keepdim=True))
        weights = weights / weights.sum(dim, keepdim=True)
        ctx.save_for_backward(weights)
        ctx.dim = dim
        return weights

    @staticmethod
    def backward(ctx, gradient):
        (weights,) = ctx.saved_tensors
        return weights * (gradient - (gradient * weights).sum(ctx.dim, keepdim=True)), None


def softmax_with_its_own_backward(x, dim):
    return _Softmax.apply(x, dim)


_ALL = (
    softmax_of_torch,
    softmax_of_functional,
    softmax_of_the_last_axis,
    softmax_module,
    softmax_through_the_maximum,
    softmax_by_logsumexp,
    softmax_by_log_softmax,
    softmax_by_reciprocal,
    softmax_axis_moved_last,
    softmax_in_powers_of_two,
    softmax_online,
    softmax_of_empty_slices_is_zero,
    softmax_upcast,
    softmax_upcast_to_double,
    softmax_of_float32_only,
    softmax_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"softmax": function} for function in _ALL}
