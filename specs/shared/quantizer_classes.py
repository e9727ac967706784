"""Quantizer classes as people write them: ``quantize(x)`` gives codes, ``dequantize(codes)`` numbers again.

The scale stays in the object. Such a class has one way of grouping the numbers of a matrix; the number of its scales
tells which. Where that is by rows, or by columns, the slices, blocks or whole tensor of a case are given to it so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from harness.core.claim import Misfit, NotSupported
from harness.core.contract import Dialect
from harness.core.errors import plain
from harness.core.parameters import parameter_names, parameters_of

BITS = ("bits", "n_bits", "num_bits", "bit_width", "nbits")
SCALES = ("scale", "scales", "scale_", "_scale")
ZEROS = ("zero_point", "zero", "zeros", "zeropoint", "zero_points", "zp")
OTHERS = ("4bit", "int4", "nf4", "kv", "cache", "model", "group", "block", "fp8", "vector", "product", "residual")
"""Names of quantizers of something else."""
MATRIX = torch.tensor([[64.0, -1.0, 0.25], [2.0, 0.031, -0.0078]], dtype=torch.float64)
"""As many rows as no other axis: the number of scales tells what shares one."""


def is_quantizer(kind: Any) -> int:
    """2 where a class quantizes one tensor and dequantizes codes, and needs at most a number of bits."""
    if not inspect.isclass(kind) or issubclass(kind, nn.Module) or any(o in plain(kind.__name__) for o in OTHERS):
        return 0
    quantize, dequantize = (getattr(kind, name, None) for name in ("quantize", "dequantize"))
    if not callable(quantize) or not callable(dequantize) or len(_needed(kind)) > 0:
        return 0
    return 2 if len(_needed(quantize)) == 2 and len(_needed(dequantize)) == 2 else 0  # self, and one more


def _needed(function: Callable[..., Any]) -> list[str]:
    named = [p for p in parameters_of(function) or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [p.name for p in named if p.default is p.empty and p.name not in BITS]


def _built(kind: Callable[..., Any]) -> Any:
    bits = next((name for name in BITS if name in parameter_names(kind)), None)
    return kind(**{bits: 8}) if bits else kind()


@dataclass(frozen=True)
class Way:
    """How a class groups the numbers of a matrix: "tensor", "rows" or "columns"; with a zero point or without.

    ``keeps``: how many axes its scale has.
    """

    groups: str
    symmetric: bool
    keeps: int


@cache
def way_of(kind: Callable[..., Any]) -> Way:
    """Raises Misfit where the class does not say where its scale is."""
    inner = _built(kind)
    inner.quantize(MATRIX)
    scale = _kept(inner, SCALES)
    if scale is None:
        raise Misfit("it needs an attribute scale, or to return the scale with the codes")
    groups = {1: "tensor", MATRIX.shape[0]: "rows", MATRIX.shape[1]: "columns"}.get(scale.numel())
    if groups is None:
        raise Misfit(
            f"it needs one scale for a tensor, a row or a column; it has {scale.numel()} for {list(MATRIX.shape)}"
        )
    return Way(groups, _kept(inner, ZEROS) is None, scale.dim())


def _kept(inner: Any, names: tuple[str, ...]) -> Tensor | None:
    values = (getattr(inner, name, None) for name in names)
    return next((torch.as_tensor(value) for value in values if value is not None), None)


class Layout:
    """The slices, blocks or whole tensor of a case as rows of a matrix, or columns, and back."""

    def __init__(self, way: Way, shape: torch.Size, axis: int | None, block: int | None) -> None:
        self.way, self.shape, self.axis, self.block = way, shape, axis, block
        if way.groups == "tensor" and (axis is not None or block is not None):
            raise NotSupported("it has one scale for a tensor")
        if block is not None and shape.numel() % block:
            raise NotSupported("its rows are all of one length")

    def there(self, x: Tensor) -> Tensor:
        """As the class takes it."""
        if self.way.groups == "tensor":
            return x
        length = self.block or (x.shape[self.axis] if self.axis is not None else x.numel())
        rows = (x if self.axis is None else x.movedim(self.axis, -1)).reshape(-1, length)
        return rows if self.way.groups == "rows" else rows.T

    def back(self, matrix: Tensor) -> Tensor:
        """As the case has it: one number for each of its own."""
        if self.way.groups == "tensor":
            return matrix
        rows = matrix if self.way.groups == "rows" else matrix.T
        if self.axis is None:
            return rows.reshape(self.shape)
        moved = [size for i, size in enumerate(self.shape) if i != self.axis % len(self.shape)]
        return rows.reshape(*moved, -1).movedim(-1, self.axis)

    def scales(self, kept: Tensor) -> Tensor:
        """One number for each slice, shaped so that the axis shows; for each block; or one."""
        flat = kept.reshape(-1)
        if self.axis is None:
            return flat if self.block else flat.reshape(())
        return flat.reshape([1 if i == self.axis % len(self.shape) else n for i, n in enumerate(self.shape)])

    def kept(self, scales: Tensor) -> Tensor:
        """As the class keeps them."""
        if self.way.groups == "tensor" or self.way.keeps < 2:
            return scales.reshape(()) if self.way.groups == "tensor" and self.way.keeps == 0 else scales.reshape(-1)
        return scales.reshape((-1, 1) if self.way.groups == "rows" else (1, -1))


def _layout_of_codes(way: Way, shape: torch.Size, scale: Tensor, block: int | None) -> Layout:
    """The layout that codes of this shape had, as the shape of their scales tells."""
    if block is not None or scale.dim() == 0:
        return Layout(way, shape, None, block)
    axis = next(i for i, n in enumerate(scale.shape) if n == 1 and scale.numel() * shape[i] == shape.numel())
    return Layout(way, shape, axis, None)


def int8_quantizer(kind: Callable[..., Any]) -> type:
    """The contract's quantizer for such a class: what it keeps of a tensor is handed on with the codes."""

    class Quantizer:
        def __init__(self) -> None:
            self.way = way_of(kind)
            self.inner = _built(kind)

        def quantize(self, x: Tensor, axis: int | None = None, block: int | None = None, symmetric: bool = True) -> Any:
            if symmetric != self.way.symmetric:
                raise NotSupported(f"it is always {'symmetric' if self.way.symmetric else 'affine'}")
            if x.dtype == torch.float16:
                raise NotSupported("it keeps its scale in the dtype of x, and small scales underflow in float16")
            layout = Layout(self.way, x.shape, axis, block)
            codes = layout.back(self.inner.quantize(layout.there(x)))
            scale, zero = (_kept(self.inner, names) for names in (SCALES, ZEROS))
            assert scale is not None
            return codes, layout.scales(scale), torch.zeros(()) if zero is None else layout.scales(zero)

        def dequantize(self, q: Tensor, scale: Tensor, zero: Tensor, block: int | None = None) -> Any:
            layout, inner = _layout_of_codes(self.way, q.shape, scale, block), self.inner
            for names, value in ((SCALES, scale), (ZEROS, zero)):
                name = next((name for name in names if hasattr(inner, name)), "scale" if names is SCALES else "")
                if name:
                    setattr(inner, name, layout.kept(value))
            return layout.back(inner.dequantize(layout.there(q)))

    return Quantizer


QUANTIZERS = (Dialect("many projects", "", (), dict, made=int8_quantizer, fits=is_quantizer),)
