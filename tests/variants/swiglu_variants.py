"""Right implementations of swiglu that differ in how they get there; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def swiglu_of_torch(x, gate_weight, up_weight, down_weight):
    hidden = functional.silu(functional.linear(x, gate_weight)) * functional.linear(x, up_weight)
    return functional.linear(hidden, down_weight)


def swiglu_under_other_names(x, w1, w3, w2):
    """The names of Llama in the order of the call."""
    return functional.linear(functional.linear(x, w3) * functional.silu(functional.linear(x, w1)), w2)


def swiglu_as_modules(x, gate_weight, up_weight, down_weight):
    class FeedForward(nn.Module):
        def __init__(self, width, hidden):
            super().__init__()
            self.w1 = nn.Linear(width, hidden, bias=False, device="meta")
            self.w2 = nn.Linear(hidden, width, bias=False, device="meta")
            self.w3 = nn.Linear(width, hidden, bias=False, device="meta")

        def forward(self, x):
            return self.w2(functional.silu(self.w1(x)) * self.w3(x))

    tensors = {"w1.weight": gate_weight, "w2.weight": down_weight, "w3.weight": up_weight}
    return torch.func.functional_call(FeedForward(x.shape[-1], gate_weight.shape[0]), tensors, (x,))


def swiglu_in_one_projection(x, gate_weight, up_weight, down_weight):
    """gate and up stacked, taken apart after one product."""
    gate, up = (x @ torch.cat((gate_weight, up_weight)).mT).chunk(2, dim=-1)
    return functional.silu(gate).mul(up) @ down_weight.mT


def swiglu_by_einsum(x, gate_weight, up_weight, down_weight):
    gate, up = torch.einsum("...d,fd->...f", x, gate_weight), torch.einsum("...d,fd->...f", x, up_weight)
    return torch.einsum("...f,df->...d", gate * torch.sigmoid(gate) * up, down_weight)


def swiglu_by_exp(x, gate_weight, up_weight, down_weight):
    """a / (1 + exp(-a)), product with up first."""
    gate = x @ gate_weight.T
    return ((x @ up_weight.T) * gate / (1.0 + torch.exp(-gate))) @ down_weight.T


def swiglu_by_tanh(x, gate_weight, up_weight, down_weight):
    """sigmoid(a) is (1 + tanh(a / 2)) / 2."""
    gate, up = functional.linear(x, gate_weight), functional.linear(x, up_weight)
    return functional.linear(0.5 * gate * up * (1.0 + torch.tanh(0.5 * gate)), down_weight)


def swiglu_in_chunks_of_the_hidden_axis(x, gate_weight, up_weight, down_weight):
    parts = []
    for start in range(0, gate_weight.shape[0], 3):
        part = slice(start, start + 3)
        parts.append(swiglu_of_torch(x, gate_weight[part], up_weight[part], down_weight[:, part]))
    return torch.stack(parts).sum(0)


def swiglu_position_by_position(x, gate_weight, up_weight, down_weight):
    rows = [swiglu_of_torch(row, gate_weight, up_weight, down_weight) for row in x.reshape(-1, x.shape[-1]).unbind(0)]
    return torch.stack(rows).reshape(x.shape)


def swiglu_checkpointed(x, gate_weight, up_weight, down_weight):
    return checkpoint(swiglu_of_torch, x, gate_weight, up_weight, down_weight, use_reentrant=False)


def swiglu_upcast(x, gate_weight, up_weight, down_weight):
    """Always in float32 inside."""
    wide = (tensor.float() for tensor in (x, gate_weight, up_weight, down_weight))
    return swiglu_of_torch(*wide).to(x.dtype)


def swiglu_of_float32_only(x, gate_weight, up_weight, down_weight):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return swiglu_of_torch(x, gate_weight, up_weight, down_weight)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return gate * torch.sigmoid(gate) * up

    @staticmethod
    def backward(ctx, gradient):
        gate, up = ctx.saved_tensors
        sigmoid = torch.sigmoid(gate)
        return gradient * up * sigmoid * (1.0 + gate * (1.0 - sigmoid)), gradient * gate * sigmoid


def swiglu_with_its_own_backward(x, gate_weight, up_weight, down_weight):
    return _SwiGLU.apply(x @ gate_weight.T, x @ up_weight.T) @ down_weight.T


_ALL = (
    swiglu_of_torch,
    swiglu_under_other_names,
    swiglu_as_modules,
    swiglu_in_one_projection,
    swiglu_by_einsum,
    swiglu_by_exp,
    swiglu_by_tanh,
    swiglu_in_chunks_of_the_hidden_axis,
    swiglu_position_by_position,
    swiglu_checkpointed,
    swiglu_upcast,
    swiglu_of_float32_only,
    swiglu_with_its_own_backward,
)

VARIANTS = {function.__name__.replace("_", " "): {"swiglu": function} for function in _ALL}
