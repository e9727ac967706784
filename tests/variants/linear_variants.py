"""Right implementations of linear that differ in how they get there; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


def linear_of_torch(x, weight, bias):
    return functional.linear(x, weight, bias)


def linear_module(x, weight, bias):
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    return torch.func.functional_call(module, tensors, (x,))


def linear_by_einsum(x, weight, bias=None):
    product = torch.einsum("...i,oi->...o", x, weight)
    return product if bias is None else product + bias


def linear_by_addmm(x, weight, bias):
    rows = x.reshape(-1, x.shape[-1])
    out = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
    return out.view(*x.shape[:-1], weight.shape[0])


def linear_by_sum_of_products(x, weight, bias):
    product = (x[..., None, :] * weight).sum(-1)
    return product if bias is None else bias + product


def linear_weight_first(x, weight, bias):
    product = (weight @ x.unsqueeze(-1)).squeeze(-1)
    return product if bias is None else product + bias


def linear_feature_by_feature(x, weight, bias):
    """Outer products summed over the input features."""
    total = torch.zeros(*x.shape[:-1], weight.shape[0], dtype=x.dtype)
    for feature, column in zip(x.unbind(-1), weight.unbind(1), strict=True):
        total = total + feature[..., None] * column
    return total if bias is None else total + bias


def linear_with_the_bias_as_a_weight(x, weight, bias):
    if bias is None:
        return torch.matmul(x, weight.mT)
    return torch.cat((x, x.new_ones(*x.shape[:-1], 1)), -1) @ torch.cat((weight, bias[:, None]), 1).mT


def linear_bias_in_place_on_its_own(x, weight, bias):
    """Writes in place, but only on the product."""
    product = x @ weight.T
    return product if bias is None else product.add_(bias)


def linear_by_convolution(x, weight, bias):
    sequences = x.reshape(-1, x.shape[-1], 1)
    return functional.conv1d(sequences, weight[:, :, None], bias).reshape(*x.shape[:-1], -1)


def linear_without_none(x, weight, bias):
    """A bias that is left out is zeros."""
    bias = torch.zeros(weight.shape[0], dtype=x.dtype) if bias is None else bias
    return torch.tensordot(x, weight, dims=([-1], [1])) + bias


def linear_upcast(x, weight, bias):
    """Always in float32 inside."""
    return functional.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x.dtype)


def linear_of_float32_only(x, weight, bias):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return functional.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        product = x.matmul(weight.t())
        return product + bias if ctx.has_bias else product

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        for_weight = torch.einsum("no,ni->oi", gradient.flatten(0, -2), x.flatten(0, -2))
        return gradient.matmul(weight), for_weight, gradient.flatten(0, -2).sum(0) if ctx.has_bias else None


def linear_with_its_own_backward(x, weight, bias):
    return _Linear.apply(x.reshape(-1, x.shape[-1]), weight, bias).reshape(*x.shape[:-1], weight.shape[0])


_ALL = (
    linear_of_torch,
    linear_module,
    linear_by_einsum,
    linear_by_addmm,
    linear_by_sum_of_products,
    linear_weight_first,
    linear_feature_by_feature,
    linear_with_the_bias_as_a_weight,
    linear_bias_in_place_on_its_own,
    linear_by_convolution,
    linear_without_none,
    linear_upcast,
    linear_of_float32_only,
    linear_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"linear": function} for function in _ALL}
