"""Low-rank adapters beside a frozen linear layer."""

import math

import torch
from torch import Tensor

from reference_model.linear import linear


class lora:
    """W x + bias + scale B A dropout(x), with scale = alpha / R; W and bias frozen, A and B trained.

    weight [out, in] and bias [out] (or None) are copied; a [R, in] starts uniform within +-1/sqrt(in) (Kaiming
    uniform with a = sqrt(5), drawn from the global generator), b [out, R] at zero: at first nothing changes.
    Raises ValueError for a rank below 1, a dropout outside [0, 1) or a weight that is not a matrix.
    Source: Hu et al. 2021, section 4.1, equation 3; microsoft/LoRA loralib/layers.py `Linear`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rank: int, alpha: float, dropout: float = 0.0) -> None:
        if weight.dim() != 2:
            raise ValueError(f"weight must be [out, in], not {list(weight.shape)}")
        if rank < 1:
            raise ValueError(f"rank must be at least 1, not {rank}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        out_features, in_features = weight.shape
        self.weight = weight.detach().clone()
        self.bias = None if bias is None else bias.detach().clone()
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.training = False
        self.merged = False
        self.added = self.weight.new_zeros(())  # what the last merge() added to the weight

        bound = 1.0 / math.sqrt(in_features)
        a = torch.empty(rank, in_features, dtype=weight.dtype, device=weight.device)
        a = a.uniform_(-bound, bound)
        b = torch.zeros(out_features, rank, dtype=weight.dtype, device=weight.device)
        self.a = a.requires_grad_()
        self.b = b.requires_grad_()

    def scale(self) -> float:
        """The factor of the update: alpha / R."""
        scale = self.alpha / self.rank
        return scale

    def update(self) -> Tensor:
        """What the adapter adds to the weight: scale B A.  -> [out, in]"""
        product = self.b @ self.a
        return product * self.scale()

    def effective_weight(self) -> Tensor:
        """The weight that acts on x outside training, merged or not.  -> [out, in]

        Before merge() the gradient flows through it to a and b; merged, it is a plain copy.
        """
        return self.weight.clone() if self.merged else self.weight + self.update()

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out].  Dropout acts in training only, and only on what goes into the adapter."""
        base = linear(x, self.weight, self.bias)
        if self.merged:
            return base
        dropped = torch.nn.functional.dropout(x, self.dropout, self.training)
        narrow = linear(dropped, self.a, None)  # [..., R]
        wide = linear(narrow, self.b, None)  # [..., out]
        adapted = wide * self.scale()
        return base + adapted

    def merge(self) -> None:
        """Add the update to the weight, so that forward is one product and a and b get no gradient.

        A second merge does nothing.  Hu et al. 2021, section 4.1, "No Additional Inference Latency".
        """
        if self.merged:
            return
        self.added = self.update().detach()
        self.weight = self.weight + self.added
        self.merged = True

    def unmerge(self) -> None:
        """Take off what merge() added, whatever became of a and b since; without a merge, do nothing.

        The weight comes back within the rounding of one addition and one subtraction.
        """
        if not self.merged:
            return
        self.weight = self.weight - self.added
        self.merged = False

    def load(self, a: Tensor, b: Tensor) -> None:
        """Copy values into a [R, in] and b [out, R]; they stay the same tensors.

        Raises ValueError for other shapes, RuntimeError while merged.
        """
        if self.merged:
            raise RuntimeError("a and b are merged into the weight: unmerge() before load()")
        if a.shape != self.a.shape:
            raise ValueError(f"a must be {list(self.a.shape)}, not {list(a.shape)}")
        if b.shape != self.b.shape:
            raise ValueError(f"b must be {list(self.b.shape)}, not {list(b.shape)}")
        with torch.no_grad():
            self.a.copy_(a)
            self.b.copy_(b)

    def parameters(self) -> dict[str, Tensor]:
        """What is trained: the tensors a and b themselves, not copies."""
        return {"a": self.a, "b": self.b}

    def train(self) -> None:
        """Dropout on."""
        self.training = True

    def eval(self) -> None:
        """Dropout off, as at the start."""
        self.training = False


class rslora(lora):
    """Rank-stabilised LoRA: the same with scale = alpha / sqrt(R), so that the update does not shrink as R grows.

    Source: Kalajdzievski 2023, section 3, Theorem 3.2 and what follows it; huggingface/peft (`use_rslora`).
    """

    def scale(self) -> float:
        """The factor of the update: alpha / sqrt(R)."""
        scale = self.alpha / math.sqrt(self.rank)
        return scale
