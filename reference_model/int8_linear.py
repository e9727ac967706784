"""A linear layer with eight-bit codes, whose large features stay in high precision."""

import torch
from torch import Tensor


class int8_linear:
    """x W^T + bias as a product of int8 codes, but for the columns of x that hold an outlier: LLM.int8().

    weight [out, in] becomes codes with a scale per row, once; x gets a scale per row at every call.  A column of x that
    holds a number of at least `threshold` in absolute value, in whichever row, is an outlier: it takes no part in the
    codes and scales of x, and is multiplied in x's own precision with the dequantized weight.  threshold = infinity:
    none is (all int8); threshold = 0: every column is (nothing of x is quantized).
    Gradients reach x alone, and are those of the dequantized weight, as if x had not been rounded.
    Raises ValueError for a weight that is not a matrix, a threshold that is negative or nan, or an x of another width.
    Source: Dettmers et al. 2022 (LLM.int8()), section 3, equations 7 and 8; bitsandbytes `MatMul8bitLt`, where a
    threshold of 0 means what infinity means here.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, threshold: float = 6.0) -> None:
        if weight.dim() != 2:
            raise ValueError(f"weight must be [out, in], not {list(weight.shape)}")
        if not threshold >= 0:
            raise ValueError(f"threshold must be at least 0, not {threshold}")
        codes, scale = row_codes(weight.detach())
        self.codes = codes
        self.scale = scale  # [out, 1]
        self.bias = None if bias is None else bias.detach().clone()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out]"""
        if x.shape[-1] != self.codes.shape[1]:
            raise ValueError(f"x is {x.shape[-1]} wide, the weight {self.codes.shape[1]}")
        rows = x.reshape(-1, x.shape[-1])
        outlier = self.outliers(rows)
        ordinary = rows.masked_fill(outlier, 0.0)
        large = rows.masked_fill(~outlier, 0.0)
        weight = self.dequantized(x.dtype)
        x_codes, x_scale = row_codes(ordinary.detach())
        product = x_codes.to(torch.int32) @ self.codes.T.to(torch.int32)
        scales = x_scale * self.scale.T
        eight_bit = (product * scales).to(x.dtype)
        unrounded = ordinary @ weight.T  # for its gradient alone
        small = unrounded + (eight_bit - unrounded).detach()
        out = small + large @ weight.T
        if self.bias is not None:
            out = out + self.bias
        return out.reshape(*x.shape[:-1], -1)

    def outliers(self, rows: Tensor) -> Tensor:
        """Which columns hold an outlier.  [rows, in] -> bool [in]"""
        largest = rows.detach().abs().amax(0)
        return largest >= self.threshold

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """The weight that the codes stand for.  -> [out, in]"""
        weight = self.codes * self.scale
        return weight.to(dtype)


def row_codes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers as int8 codes with a scale per row, its largest absolute value over 127.  [n, m] -> int8 [n, m], [n, 1]

    The scale is in the dtype of rows (float32 for 16 bit); a row of zeros has scale 1.
    """
    wide = rows.to(torch.float32) if rows.dtype in (torch.float16, torch.bfloat16) else rows
    largest = wide.abs().amax(1, keepdim=True)
    scale = largest / 127
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    steps = torch.round(wide / scale)
    codes = steps.to(torch.int8)
    return codes, scale
