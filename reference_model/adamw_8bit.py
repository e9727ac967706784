"""Adam with decoupled weight decay whose two moments are kept in eight bits."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from reference_model.adamw import adamw

BLOCK = 256
"""Numbers that share a scale."""
SMALLEST = 4096
"""Parameters with fewer numbers keep their moments as they are: they cost little, and small ones are sensitive."""


class adamw_8bit(adamw):
    """`adamw`, the moments of parameters of 4096 numbers or more kept as one byte each, with a scale for every 256.

    A step unpacks the moments, is the step of `adamw`, and packs them again; the parameters are never quantized.
    Source: Dettmers et al. 2022 (8-bit optimizers), sections 2 and 3; bitsandbytes `AdamW8bit`.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        groups: Sequence[Mapping[str, Any]] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        adamw.__init__(self, params, groups, lr, betas, eps, weight_decay)
        self.first: list[Any] = [packed(moment, True) for moment in self.first]
        self.second: list[Any] = [packed(moment, False) for moment in self.second]

    def update(self, place: int, grad: Tensor, group: Mapping[str, Any]) -> None:
        """One parameter: its moments are unpacked for it alone, and packed again."""
        like = self.params[place]
        self.first[place] = unpacked(self.first[place], like, True)
        self.second[place] = unpacked(self.second[place], like, False)
        adamw.update(self, place, grad, group)
        self.first[place] = packed(self.first[place], True)
        self.second[place] = packed(self.second[place], False)

    def state(self) -> dict[str, list[Any]]:
        """What a resumed run needs beside the parameters: packed moments and counters, copied."""
        saved = {"first": self.first, "second": self.second, "counts": self.counts}
        return copy.deepcopy(saved)

    def load(self, state: Mapping[str, Sequence[Any]]) -> None:
        """Take over what state() gave out."""
        self.first = copy.deepcopy(list(state["first"]))
        self.second = copy.deepcopy(list(state["second"]))
        self.counts = list(state["counts"])


def dynamic_map(signed: bool) -> Tensor:
    """The 256 numbers that a byte can stand for, in order, from 0 (or -1) to 1: fine near 0, coarse near 1.

    Seven decades, each of twice as many equal steps as the one below; a step is told by its middle; 0 and 1 are exact.
    The widest gap is 0.0141 with a sign and 0.0070 without, so a number comes back within half of that times its scale.
    """
    values = [0.0, 1.0]
    for decade in range(7):
        steps = 2**decade if signed else 2 ** (decade + 1)
        edges = torch.linspace(0.1, 1.0, steps + 1, dtype=torch.float64)
        middles = (edges[:-1] + edges[1:]) / 2
        scaled = middles * 10.0 ** (decade - 6)
        values += scaled.tolist()
        values += (-scaled).tolist() if signed else []
    return torch.tensor(sorted(values), dtype=torch.float64)


def packed(moment: Tensor, signed: bool) -> Any:
    """(codes uint8 [numel], scales float32 [blocks]); a small moment as it is.

    Each block of 256 is divided by its largest absolute value; a block of zeros keeps codes for 0.
    """
    if moment.numel() < SMALLEST:
        return moment
    flat = moment.reshape(-1)
    short = -flat.numel() % BLOCK
    blocks = torch.nn.functional.pad(flat, (0, short)).view(-1, BLOCK)
    scales = blocks.abs().amax(-1)
    shares = blocks / scales.clamp(min=1e-38).unsqueeze(-1)
    codebook = dynamic_map(signed).to(moment.device, moment.dtype)
    middles = (codebook[1:] + codebook[:-1]) / 2
    codes = torch.bucketize(shares, middles).to(torch.uint8)
    return codes.reshape(-1)[: flat.numel()].clone(), scales.to(torch.float32)


def unpacked(kept: Tensor | tuple[Tensor, Tensor], like: Tensor, signed: bool) -> Tensor:
    """The numbers that codes and scales stand for, in the shape and dtype of `like`."""
    if torch.is_tensor(kept):
        return kept
    codes, scales = kept
    shares = dynamic_map(signed).to(like.device, like.dtype)[codes.long()]
    wide = scales.to(like.dtype).repeat_interleave(BLOCK)
    values = shares * wide[: shares.numel()]
    return values.view(like.shape)
