"""Right implementations of rms_norm that differ in how they get there; none of them may fail a claim."""

import math

import torch
from torch import nn
from torch.nn import functional


def _halves_in_float32(norm):
    """float16 and bfloat16 in float32, as the contract asks; the rest as it comes."""

    def rms_norm(x, weight, eps):
        if x.dtype not in (torch.float16, torch.bfloat16):
            return norm(x, weight, eps)
        return norm(x.float(), weight.float(), eps).to(x.dtype)

    rms_norm.__name__ = norm.__name__
    return rms_norm


def rms_norm_of_torch(x, weight, eps):
    return functional.rms_norm(x, (x.shape[-1],), weight, eps)


def rms_norm_module(x, weight, eps=1e-5):
    module = nn.RMSNorm(x.shape[-1], eps=eps, dtype=x.dtype)
    return torch.func.functional_call(module, {"weight": weight}, (x,))


def rms_norm_of_llama(x, weight, eps):
    """In float32 whatever comes in; back in its own dtype before the gain is applied."""
    wide = x.float()
    normalised = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normalised.type_as(x) * weight


def rms_norm_gained_before_the_cast(x, weight, eps):
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * weight.float()).type_as(x)


@_halves_in_float32
def rms_norm_by_rsqrt(x, weight, eps):
    return weight * (x * torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + eps))


@_halves_in_float32
def rms_norm_by_vector_norm(x, weight, eps):
    """The Euclidean norm over sqrt(D)."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
    return x / torch.sqrt(size**2 + eps) * weight


@_halves_in_float32
def rms_norm_by_einsum(x, weight, eps):
    total = torch.einsum("...d,...d->...", x, x)[..., None]
    return torch.einsum("...d,d->...d", x / (total / x.shape[-1] + eps) ** 0.5, weight)


@_halves_in_float32
def rms_norm_by_pow(x, weight, eps):
    return x * weight * torch.pow(x.pow(2).sum(-1, keepdim=True) / x.size(-1) + eps, -0.5)


@_halves_in_float32
def rms_norm_with_eps_under_the_sum(x, weight, eps):
    """sqrt(D) / sqrt(sum + D eps) is the same."""
    width = x.shape[-1]
    return x * (math.sqrt(width) / torch.sqrt(x.square().sum(-1, keepdim=True) + width * eps)) * weight


@_halves_in_float32
def rms_norm_with_a_diagonal_weight(x, weight, eps):
    return (x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)) @ torch.diag(weight)


@_halves_in_float32
def rms_norm_row_by_row(x, weight, eps):
    rows = [row / torch.sqrt(torch.dot(row, row) / len(row) + eps) * weight for row in x.reshape(-1, x.shape[-1])]
    return torch.stack(rows).reshape(x.shape)


def rms_norm_of_float32_only(x, weight, eps):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return rms_norm_by_rsqrt(x, weight, eps)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        inverse = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight, inverse)
        return x * inverse * weight

    @staticmethod
    def backward(ctx, gradient):
        x, weight, inverse = ctx.saved_tensors
        normalised, inner = x * inverse, gradient * weight
        dx = inverse * (inner - normalised * (inner * normalised).mean(-1, keepdim=True))
        return dx, (gradient * normalised).reshape(-1, x.shape[-1]).sum(0), None


@_halves_in_float32
def rms_norm_with_its_own_backward(x, weight, eps):
    return _RmsNorm.apply(x, weight, eps)


_ALL = (
    rms_norm_of_torch,
    rms_norm_module,
    rms_norm_of_llama,
    rms_norm_gained_before_the_cast,
    rms_norm_by_rsqrt,
    rms_norm_by_vector_norm,
    rms_norm_by_einsum,
    rms_norm_by_pow,
    rms_norm_with_eps_under_the_sum,
    rms_norm_with_a_diagonal_weight,
    rms_norm_row_by_row,
    rms_norm_of_float32_only,
    rms_norm_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"rms_norm": function} for function in _ALL}
