"""Attention that keeps the keys and values of what it has seen."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear
from reference_model.softmax import softmax


class kv_cache:
    """One layer of causal multi-head self-attention over a sequence that comes piece by piece.

    qkv_weight [3D, D] holds the rows of q, then k, then v; out_weight is [D, D]; biases [3D] and [D], or None.  However
    the sequence is cut, every position gets what attention over the whole sequence gives it: keys and values depend on
    their own position alone, so that they are worked out once and kept, 2 B D numbers for each position.
    At most `context` positions are held; what goes beyond is refused.
    Raises ValueError when n_heads does not divide the width, or for a context below 1.
    Source: Shazeer 2019, section 2.2 (incremental inference); Pope et al. 2022, section 3.3; openai/gpt-2 src/model.py
    `past`.
    """

    def __init__(
        self,
        qkv_weight: Tensor,
        qkv_bias: Tensor | None,
        out_weight: Tensor,
        out_bias: Tensor | None,
        n_heads: int,
        context: int,
    ) -> None:
        width = out_weight.shape[0]
        if n_heads < 1 or width % n_heads != 0:
            raise ValueError(f"width {width} is not divisible by {n_heads} heads")
        if context < 1:
            raise ValueError(f"context must be at least 1, not {context}")
        self.qkv_weight = qkv_weight
        self.qkv_bias = qkv_bias
        self.out_weight = out_weight
        self.out_bias = out_bias
        self.n_heads = n_heads
        self.context = context
        self.keys: Tensor | None = None  # [B, H, S, K], as many positions S as are held
        self.values: Tensor | None = None
        self.given = 0

    def prefill(self, x: Tensor) -> Tensor:
        """The first positions of a sequence.  x [B, T, D] -> [B, T, D]"""
        return self.extend(x)

    def step(self, x: Tensor) -> Tensor:
        """The next position.  x [B, 1, D] -> [B, 1, D]"""
        return self.extend(x)

    def extend(self, x: Tensor) -> Tensor:
        """The next T positions at once; position i of them sees all that is held, and 0..i.  x [B, T, D] -> [B, T, D]

        Raises ValueError when more than `context` positions would be held; RuntimeError (from torch) for another width.
        """
        batch, time, width = x.shape
        head_size = width // self.n_heads
        qkv = linear(x, self.qkv_weight, self.qkv_bias)
        q, k, v = qkv.split(width, dim=-1)
        q = q.reshape(batch, time, self.n_heads, head_size).transpose(1, 2)  # [B, H, T, K]
        k = k.reshape(batch, time, self.n_heads, head_size).transpose(1, 2)
        v = v.reshape(batch, time, self.n_heads, head_size).transpose(1, 2)

        past_keys = k[:, :, :0] if self.keys is None else self.keys
        past_values = v[:, :, :0] if self.values is None else self.values
        start = past_keys.shape[2]
        stop = start + time
        if stop > self.context:
            raise ValueError(f"{stop} positions do not fit into a context of {self.context}")
        keys = torch.cat([past_keys, k], 2)  # [B, H, S, K]
        values = torch.cat([past_values, v], 2)
        self.keys = keys[:, :, -self.context :]
        self.values = values[:, :, -self.context :]
        self.given = self.given + time

        scale = 1.0 / math.sqrt(head_size)
        scores = q @ keys.transpose(-2, -1) * scale  # [B, H, T, S]: row = query, column = key
        everywhere = torch.ones(time, stop, dtype=torch.bool, device=x.device)
        hidden = everywhere.triu(diagonal=start + 1)  # row i is position start + i
        masked = scores.masked_fill(hidden, float("-inf"))
        weights = softmax(masked, dim=-1)
        mixed = weights @ values
        merged = mixed.transpose(1, 2).reshape(batch, time, width)
        return linear(merged, self.out_weight, self.out_bias)

    def length(self) -> int:
        """How many positions it was given."""
        return self.given

    def reset(self) -> None:
        """Forget them all."""
        self.keys = None
        self.values = None
        self.given = 0
