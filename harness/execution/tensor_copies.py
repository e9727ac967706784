"""Copies of tensors that go in, gradients that come out, and whether somebody wrote to a tensor."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.case import is_float


def same_strides(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same shape and strides (an expanded or transposed argument stays one)."""
    if tensor.is_contiguous():
        return tensor.detach().clone()
    if 0 in tensor.stride():  # expanded: copy the memory behind it, expand again
        narrow = tensor
        for axis, step in enumerate(tensor.stride()):
            if step == 0 and tensor.shape[axis] > 1:
                narrow = narrow.narrow(axis, 0, 1)
        return narrow.detach().clone().expand(tensor.shape)
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor.detach())


def attached_copy(leaf: torch.Tensor) -> torch.Tensor:
    """A tensor with the values and strides of ``leaf`` through which gradients flow back to it."""
    if leaf.is_contiguous() or 0 in leaf.stride():
        return leaf.clone() if leaf.is_contiguous() else leaf.view_as(leaf)
    return leaf.clone(memory_format=torch.preserve_format)


def detached(leaf: Any) -> Any:
    """A copy of a plain tensor without its history; what is no plain tensor as it is."""
    return leaf.detach().clone() if type(leaf) is torch.Tensor else leaf


def gradient_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """The gradient that reached a tensor, None where none did.

    Of a view of a learned tensor (its transpose, say) the gradient of that tensor, viewed alike.
    """
    base = tensor if tensor.is_leaf else tensor._base
    if base is None or not base.is_leaf or base.grad is None:
        return None
    gradient = base.grad.detach().to_dense()  # a sparse one is legal
    if base is tensor:
        return gradient.clone()
    alike = torch.empty_strided(base.shape, base.stride(), dtype=gradient.dtype, device=gradient.device).copy_(gradient)
    return alike.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() - base.storage_offset()).clone()


def is_unchanged(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors have the same shape and the same values; nan equals nan."""
    one, other = one.detach(), other.detach()
    if one.shape != other.shape:
        return False
    if torch.equal(one, other):
        return True
    return bool(
        is_float(one)
        and torch.equal(torch.isnan(one), torch.isnan(other))
        and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
    )
