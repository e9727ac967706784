"""Right caches of keys and values in a few bits that differ in their codes and how they lie; none of them may fail a
claim."""

import math

import torch
from torch.nn import functional


class Affine:
    """From the smallest number to the largest, one code to a byte; scale and zero point as people write them."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context, bits):
        if out_weight.shape[0] % n_heads:
            raise ValueError("heads")
        self.qkv, self.out, self.heads = (qkv_weight, qkv_bias), (out_weight, out_bias), n_heads
        self.context, self.bits = context, bits
        self.held, self.at = [], 0

    def quantize(self, x):
        low, high = x.aminmax(dim=-1, keepdim=True)
        scale = ((high - low) / (2**self.bits - 1)).clamp(min=1e-30)
        return ((x - low) / scale).round().to(torch.uint8), scale, low

    def dequantize(self, codes, scale, low):
        return codes.to(scale.dtype) * scale + low

    def prefill(self, x):
        if self.at + x.shape[1] > self.context:
            raise ValueError("full")
        q, k, v = functional.linear(x, *self.qkv).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        self.held.append((self.quantize(k), self.quantize(v)))
        start, self.at = self.at, self.at + x.shape[1]
        keys, values = self.used(k, v)
        seen = torch.arange(self.at) <= torch.arange(start, self.at).unsqueeze(-1)
        mixed = functional.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return functional.linear(mixed.transpose(1, 2).reshape(x.shape), *self.out)

    step = extend = prefill

    def used(self, k, v):
        return self.contents()

    def contents(self):
        return tuple(torch.cat([self.dequantize(*kept[i]) for kept in self.held], 2) for i in range(2))

    def length(self):
        return self.at

    def reset(self):
        self.held, self.at = [], 0


class Symmetric(Affine):
    """Signed codes around 0."""

    def quantize(self, x):
        most = 2 ** (self.bits - 1) - 1
        scale = x.abs().amax(-1, keepdim=True) / most
        scale = torch.where(scale == 0, 1.0, scale)
        return (x / scale).round().clamp(-most, most).to(torch.int8), scale, torch.zeros_like(scale)


class NewPieceAsItIs(Affine):
    """What has just come is attended to as it is; what came before, as it is held."""

    def used(self, k, v):
        keys, values = self.contents()
        time = k.shape[2]
        return torch.cat([keys[:, :, :-time], k], 2), torch.cat([values[:, :, :-time], v], 2)


class LastPieceUnquantized(Affine):
    """The last piece stays in full precision, and is quantized when the next one comes."""

    recent = None

    def prefill(self, x):
        if self.at + x.shape[1] > self.context:
            raise ValueError("full")
        q, k, v = functional.linear(x, *self.qkv).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.recent is not None:
            self.held.append(tuple(self.quantize(t) for t in self.recent))
        start, self.at = self.at, self.at + x.shape[1]
        self.recent = (k, v)
        keys, values = self.contents()
        scores = torch.einsum("bhtk,bhsk->bhts", q, keys) / math.sqrt(q.shape[-1])
        later = torch.arange(self.at) > torch.arange(start, self.at)[:, None]
        mixed = scores.masked_fill(later, float("-inf")).softmax(-1) @ values
        return functional.linear(mixed.transpose(1, 2).flatten(2), *self.out)

    step = extend = prefill

    def contents(self):
        older = [[self.dequantize(*kept[i]) for kept in self.held] for i in range(2)]
        return [torch.cat([*parts, last], 2) for parts, last in zip(older, self.recent, strict=True)]

    def reset(self):
        super().reset()
        self.recent = None


class OneByOne(Affine):
    """A prefill is steps; no extend, no length, no reset."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.one = super().prefill

    def prefill(self, x):
        return torch.cat([self.one(row.contiguous()) for row in x.split(1, 1)], 1)

    step = prefill
    extend = length = reset = property()


def in_more_bits(qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context, bits):
    """Eight bits whatever is asked: more than is owed."""
    return Affine(qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context, 8)


_ALL = (Affine, Symmetric, NewPieceAsItIs, LastPieceUnquantized, OneByOne, in_more_bits)

VARIANTS = {f"quantized {build.__name__.lower().replace('_', ' ')}": {"kv_cache_quantized": build} for build in _ALL}
