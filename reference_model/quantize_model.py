"""A whole model with its large matrices in a few bits."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_model.gpt2 import gpt2

KINDS = {
    "attention": ("qkv_weight", "out_weight"),
    "mlp": ("up_weight", "down_weight"),
    "norms": (
        "norm_1_weight", "norm_1_bias", "norm_2_weight", "norm_2_bias", "final_norm_weight", "final_norm_bias",
    ),
    "embeddings": ("token_embedding", "position_embedding"),
}
"""What belongs to each kind of layer, by the names of `gpt2` and `block`. The head is the token embedding."""


class Rows(NamedTuple):
    """A matrix (or a vector, as one row) in codes of `bits` bits, and a scale per row."""

    packed: Tensor
    scale: Tensor
    shape: torch.Size
    bits: int


class quantize_model:
    """gpt2 with the weights of its attention and feed-forward layers in `bits` bits; everything else as it was given.

    weights and config are what `gpt2` takes; nothing that is given is held or changed.  Layer norms, embeddings (and so
    the head, which is the token embedding) and all biases stay as they are, unless `kinds` asks for "norms" or
    "embeddings" too: norms are thousandths of the memory, and every number behind them is multiplied by theirs.
    Raises ValueError for bits outside 2..8 or an unknown kind.
    Source: Dettmers et al. 2022 (LLM.int8()), section 2 (what is quantized); bitsandbytes and torch.ao quantize
    nn.Linear alone and leave `lm_head` out.
    """

    def __init__(
        self, weights: Mapping[str, Any], config: Any, bits: int = 8, kinds: Sequence[str] = ("attention", "mlp")
    ) -> None:
        if not 2 <= bits <= 8:
            raise ValueError(f"bits must be 2 to 8, not {bits}")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"unknown kinds {unknown}; there are {list(KINDS)}")
        self.config = config
        self.bits = bits
        self.chosen = {name for kind in kinds for name in KINDS[kind]}
        self.blocks = [self.stored(block) for block in weights["blocks"]]
        self.rest = self.stored({name: value for name, value in weights.items() if name != "blocks"})

    def stored(self, tensors: Mapping[str, Tensor | None]) -> dict[str, Rows | Tensor | None]:
        """The tensors as they are held: in codes where they are chosen, copies otherwise."""
        held: dict[str, Rows | Tensor | None] = {}
        for name, value in tensors.items():
            if value is None:
                held[name] = None
            elif name in self.chosen:
                held[name] = quantize_rows(value.detach(), self.bits)
            else:
                held[name] = value.detach().clone()
        return held

    def forward(self, ids: Tensor) -> Tensor:
        """ids int [B, T] -> logits [B, T, V]"""
        return gpt2(ids, self.weights(), self.config)

    def weights(self) -> dict[str, Any]:
        """What the model computes with, in the form that `gpt2` takes."""
        blocks = [plain(block) for block in self.blocks]
        whole = plain(self.rest)
        return {**whole, "blocks": blocks}


def plain(held: Mapping[str, Rows | Tensor | None]) -> dict[str, Tensor | None]:
    """What is held, as floating-point numbers."""
    return {name: dequantize_rows(value) if isinstance(value, Rows) else value for name, value in held.items()}


def quantize_rows(weight: Tensor, bits: int) -> Rows:
    """The codes -(2^(bits-1) - 1) .. 2^(bits-1) - 1 over +-the largest absolute value of each row, packed."""
    rows = weight if weight.dim() == 2 else weight.reshape(1, -1)
    highest = 2 ** (bits - 1) - 1
    largest = rows.abs().amax(1, keepdim=True)
    scale = largest / highest
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    steps = torch.round(rows / scale)
    codes = steps.to(torch.int64) + highest
    packed = pack_bits(codes.reshape(-1), bits)
    return Rows(packed, scale, weight.shape, bits)


def dequantize_rows(rows: Rows) -> Tensor:
    """The weight that is held, in the shape that it had."""
    highest: int = 2 ** (rows.bits - 1) - 1
    codes = unpack_bits(rows.packed, rows.bits, rows.shape.numel())
    steps = codes.reshape(len(rows.scale), -1) - highest
    values = steps * rows.scale
    return values.reshape(rows.shape)


def pack_bits(codes: Tensor, bits: int) -> Tensor:
    """Codes one after the other in a stream of bits, the lowest bit first: they straddle bytes.

    [n] -> uint8 [ceil(n bits / 8)]
    """
    places = torch.arange(bits, device=codes.device)
    stream = ((codes[:, None] >> places) & 1).reshape(-1)
    filled = torch.cat([stream, stream.new_zeros(-stream.numel() % 8)])
    weighed = filled.reshape(-1, 8) << torch.arange(8, device=codes.device)
    packed = weighed.sum(1)
    return packed.to(torch.uint8)


def unpack_bits(packed: Tensor, bits: int, count: int) -> Tensor:
    """The inverse of `pack_bits`.  uint8 [ceil(n bits / 8)] -> int64 [n]"""
    places = torch.arange(8, device=packed.device)
    stream = ((packed.to(torch.int64)[:, None] >> places) & 1).reshape(-1)
    kept = stream[: count * bits].reshape(count, bits)
    weighed = kept << torch.arange(bits, device=packed.device)
    return weighed.sum(1)
