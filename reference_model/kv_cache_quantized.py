"""Attention that keeps the keys and values of what it has seen in a few bits each."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear
from reference_model.softmax import softmax

Kept = tuple[Tensor, Tensor, Tensor]
"""Packed codes, the step and the lowest number of each vector."""


class kv_cache_quantized:
    """As kv_cache, with keys and values kept in `bits` bits: every vector of a head has 2^bits evenly spaced levels of
    its own, from its smallest number to its largest.

    So a kept number is off by (max - min) / (2 (2^bits - 1)) of its vector at most, and a position costs bits / 8 bytes
    for each of its 2 D numbers, and two numbers more for each of its 2 H vectors.
    Raises ValueError when n_heads does not divide the width, for a context below 1, and for other than 2 to 8 bits.
    Source: Liu et al. 2024 (KIVI), section 3 (per token); Sheng et al. 2023 (FlexGen), section 5, group-wise
    quantization.
    """

    def __init__(
        self,
        qkv_weight: Tensor,
        qkv_bias: Tensor | None,
        out_weight: Tensor,
        out_bias: Tensor | None,
        n_heads: int,
        context: int,
        bits: int,
    ) -> None:
        width = out_weight.shape[0]
        if n_heads < 1 or width % n_heads != 0:
            raise ValueError(f"width {width} is not divisible by {n_heads} heads")
        if context < 1:
            raise ValueError(f"context must be at least 1, not {context}")
        if not 2 <= bits <= 8:
            raise ValueError(f"2 to 8 bits, not {bits}")
        self.qkv_weight = qkv_weight
        self.qkv_bias = qkv_bias
        self.out_weight = out_weight
        self.out_bias = out_bias
        self.n_heads = n_heads
        self.head_size = width // n_heads
        self.context = context
        self.bits = bits
        self.keys: Kept | None = None  # packed codes, steps and lowest numbers, all [B, H, S, ...]
        self.values: Kept | None = None
        self.given = 0

    def prefill(self, x: Tensor) -> Tensor:
        """The first positions of a sequence.  x [B, T, D] -> [B, T, D]"""
        return self.extend(x)

    def step(self, x: Tensor) -> Tensor:
        """The next position.  x [B, 1, D] -> [B, 1, D]"""
        return self.extend(x)

    def extend(self, x: Tensor) -> Tensor:
        """The next T positions at once; each sees what is held up to itself, as it is held.  x [B, T, D] -> [B, T, D]

        Raises ValueError when more than `context` positions would be held; RuntimeError (from torch) for another width.
        """
        batch, time, width = x.shape
        qkv = linear(x, self.qkv_weight, self.qkv_bias)
        q, k, v = qkv.split(width, dim=-1)
        q = q.reshape(batch, time, self.n_heads, self.head_size).transpose(1, 2)  # [B, H, T, K]
        k = k.reshape(batch, time, self.n_heads, self.head_size).transpose(1, 2)
        v = v.reshape(batch, time, self.n_heads, self.head_size).transpose(1, 2)

        start = self.given
        stop = start + time
        if stop > self.context:
            raise ValueError(f"{stop} positions do not fit into a context of {self.context}")
        new_keys = quantize_vectors(k, self.bits)
        new_values = quantize_vectors(v, self.bits)
        self.keys = appended(self.keys, new_keys)
        self.values = appended(self.values, new_values)
        self.given = stop

        keys, values = self.contents()
        scale = 1.0 / math.sqrt(self.head_size)
        scores = q @ keys.transpose(-2, -1) * scale  # [B, H, T, S]
        everywhere = torch.ones(time, stop, dtype=torch.bool, device=x.device)
        hidden = everywhere.triu(diagonal=start + 1)
        masked = scores.masked_fill(hidden, float("-inf"))
        weights = softmax(masked, dim=-1)
        mixed = weights @ values
        merged = mixed.transpose(1, 2).reshape(batch, time, width)
        return linear(merged, self.out_weight, self.out_bias)

    def contents(self) -> tuple[Tensor, Tensor]:
        """The keys and the values it holds, as numbers.  -> two [B, H, S, K]; RuntimeError where there are none."""
        if self.keys is None or self.values is None:
            raise RuntimeError("nothing is held yet")
        keys = dequantize_vectors(*self.keys, self.bits, self.head_size)
        values = dequantize_vectors(*self.values, self.bits, self.head_size)
        return keys, values

    def length(self) -> int:
        """How many positions it was given."""
        return self.given

    def reset(self) -> None:
        """Forget them all."""
        self.keys = None
        self.values = None
        self.given = 0


def quantize_vectors(x: Tensor, bits: int) -> Kept:
    """Each vector along the last axis on 2^bits levels.  [..., K] -> packed uint8, step [..., 1], lowest [..., 1]"""
    lowest = x.amin(-1, keepdim=True)
    highest = x.amax(-1, keepdim=True)
    levels = 2**bits - 1
    step = (highest - lowest) / levels
    step = torch.where(step > 0, step, torch.ones_like(step))
    codes = torch.round((x - lowest) / step)
    whole = codes.clamp(0, levels).to(torch.int32)
    return pack(whole, bits), step, lowest


def dequantize_vectors(packed: Tensor, step: Tensor, lowest: Tensor, bits: int, size: int) -> Tensor:
    """The numbers again.  -> [..., size]"""
    codes = unpack(packed, bits, size)
    return codes.to(step.dtype) * step + lowest


def pack(codes: Tensor, bits: int) -> Tensor:
    """The bits of all codes of a vector one after the other, lowest first, eight to a byte.

    [..., K] -> [..., ceil(K bits / 8)]
    """
    places = torch.arange(bits, device=codes.device)
    ones = (codes.unsqueeze(-1) >> places) & 1  # [..., K, bits]
    row = ones.flatten(-2)
    filled = torch.nn.functional.pad(row, (0, -row.shape[-1] % 8))
    eights: Tensor = filled.unflatten(-1, (-1, 8))
    worth = 2 ** torch.arange(8, device=codes.device)
    return (eights * worth).sum(-1).to(torch.uint8)


def unpack(packed: Tensor, bits: int, size: int) -> Tensor:
    """The inverse of pack, for vectors of this size.  -> int32 [..., size]"""
    places = torch.arange(8, device=packed.device)
    ones = (packed.to(torch.int32).unsqueeze(-1) >> places) & 1  # [..., bytes, 8]
    row = ones.flatten(-2)[..., : size * bits]
    groups: Tensor = row.unflatten(-1, (size, bits))
    worth = 2 ** torch.arange(bits, device=packed.device)
    return (groups * worth).sum(-1).to(torch.int32)


def appended(held: Kept | None, new: Kept) -> Kept:
    """What is held, and the new positions behind it (axis 2 is time)."""
    if held is None:
        return new
    packed, step, lowest = (torch.cat([before, after], 2) for before, after in zip(held, new, strict=True))
    return packed, step, lowest
