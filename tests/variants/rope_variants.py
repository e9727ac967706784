"""Right implementations of rope that differ in how they get there; none of them may fail a claim."""

import numpy as np
import torch
from torch import nn

END = 4096


def _over_heads(table, positions):
    """[T, K/2] fits as it is; [B, T, K/2] needs an axis for the heads."""
    return table.unsqueeze(1) if positions.dim() > 1 else table


def _frequencies(size, base, dtype=torch.float32):
    return 1.0 / (base ** (torch.arange(0, size, 2).to(dtype) / size))


def by_complex_numbers(x, positions, base=10000.0, rotated=None):
    """As Llama's own code has it: in float32, whatever comes in."""
    size = x.shape[-1] if rotated is None else rotated
    pairs = torch.view_as_complex(x[..., :size].float().reshape(*x.shape[:-1], -1, 2))
    angles = positions.float()[..., None] * _frequencies(size, base)
    turns = _over_heads(torch.polar(torch.ones_like(angles), angles), positions)
    return torch.cat((torch.view_as_real(pairs * turns).flatten(-2).type_as(x), x[..., size:]), -1)


def tables_in_float32(x, positions, base=10000.0, rotated=None):
    """Sines and cosines in float32, brought to the dtype of x before they meet it, as in transformers."""
    size = x.shape[-1] if rotated is None else rotated
    angles = torch.einsum("...t,k->...tk", positions.float(), _frequencies(size, base)).repeat_interleave(2, -1)
    cos, sin = (_over_heads(table, positions).to(x.dtype) for table in (angles.cos(), angles.sin()))
    turning = x[..., :size]
    partners = torch.stack((-turning[..., 1::2], turning[..., ::2]), -1).flatten(-2)
    return torch.cat((turning * cos + partners * sin, x[..., size:]), -1)


class _Rotary(nn.Module):
    def __init__(self, size, base):
        super().__init__()
        angles = torch.outer(torch.arange(END).float(), _frequencies(size, base))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x, positions):
        cos, sin = (_over_heads(table[positions], positions) for table in (self.cos, self.sin))
        even, odd = x[..., 0::2], x[..., 1::2]
        out = torch.empty_like(x)
        out[..., 0::2], out[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
        return out


def rows_of_a_table(x, positions, base=10000.0):
    """A module with buffers in float32, and no word of turning a part."""
    return _Rotary(x.shape[-1], base)(x, positions)


_TABLES = {}


def kept_table(x, positions, base=10000.0):
    """Kept in float32 per size and base, grown where a longer one is asked for."""
    need, key = int(positions.max()) + 1, (x.shape[-1], base)
    if key not in _TABLES or len(_TABLES[key]) < need:
        angles = torch.arange(need).float()[:, None] * _frequencies(x.shape[-1], base)
        _TABLES[key] = torch.stack((angles.cos(), angles.sin()), -1)
    cos, sin = _over_heads(_TABLES[key][positions].flatten(-2), positions).unflatten(-1, (-1, 2)).unbind(-1)
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2).type_as(x)


def by_matrices(x, positions, base=10000.0, rotated=None):
    """A block-diagonal matrix of turns for every position, in float64."""
    size = x.shape[-1] if rotated is None else rotated
    angles = positions.double()[..., None] * _frequencies(size, base, torch.float64)
    blocks = torch.stack((angles.cos(), -angles.sin(), angles.sin(), angles.cos()), -1).unflatten(-1, (2, 2))
    pairs = x[..., :size].double().unflatten(-1, (-1, 2))
    blocks = blocks.unsqueeze(-5) if positions.dim() > 1 else blocks
    return torch.cat((torch.einsum("...ij,...j->...i", blocks, pairs).flatten(-2).to(x.dtype), x[..., size:]), -1)


def by_exponentials(x, positions, base=10000.0, rotated=None):
    size = x.shape[-1] if rotated is None else rotated
    wide = torch.promote_types(x.dtype, torch.float32)
    slope = torch.exp(torch.arange(size // 2, dtype=wide) * (-2 * np.log(base) / size))
    angles = _over_heads(positions.to(wide).unsqueeze(-1) * slope, positions)
    even, odd = x[..., 0:size:2].to(wide), x[..., 1:size:2].to(wide)
    turned = (even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos())
    return torch.cat((torch.stack(turned, -1).flatten(-2).to(x.dtype), x[..., size:]), -1)


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, positions, base):
        ctx.save_for_backward(positions)
        ctx.base = base
        return by_exponentials(x, positions, base)

    @staticmethod
    def backward(ctx, gradient):
        (positions,) = ctx.saved_tensors
        return by_exponentials(gradient, -positions, ctx.base), None, None


def with_its_own_backward(x, positions, base=10000.0):
    return _Turn.apply(x, positions, base)


def head_by_head(x, positions, base=10000.0):
    return torch.stack([by_exponentials(head.unsqueeze(1), positions, base).squeeze(1) for head in x.unbind(1)], 1)


_ALL = (
    by_complex_numbers,
    tables_in_float32,
    rows_of_a_table,
    kept_table,
    by_matrices,
    by_exponentials,
    with_its_own_backward,
    head_by_head,
)

VARIANTS = {function.__name__.replace("_", " "): {"rope": function} for function in _ALL}
