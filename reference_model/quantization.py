"""Numbers in eight bits."""

import torch
from torch import Tensor


class quantize_int8:
    """Floats to int8 with a scale per tensor, slice or block, and back.

    Source: Dettmers et al. 2022 (LLM.int8()), section 2.1 (absmax and zero-point), section 2.1.1 and 3.1 (slices);
    Dettmers et al. 2022 (8-bit optimizers), section 2.1 (blocks).
    """

    def quantize(
        self, x: Tensor, axis: int | None = None, block: int | None = None, symmetric: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x to (q, scale, zero): q int8 in the shape of x, x ~ (q - zero) scale.

        What shares a scale: all of x (scale []), or with `axis` every slice along it (scale as x, that axis 1), or
        with `block` every n numbers of the flattened x (scale [ceil(numel / n), 1]; the last block may be shorter).
        symmetric: scale = max|x| / 127, q in -127..127, zero 0; |x - dequantized| <= max|x| / 254.
        Otherwise: the range, widened to hold 0, on -128..127; zero is the code of 0.0, so 0.0 comes back exactly;
        |x - dequantized| <= (max - min) / 510.  scale is in x's dtype (float32 for float16 and bfloat16), zero int32.
        Ties round to the even code.  Nothing but zeros has scale 1 and comes back as zeros.
        Raises TypeError unless x is floating, ValueError for nan or inf (naming where), an empty x, a block below 1,
        or axis and block together, IndexError for an axis that x has not.
        """
        refuse_unusable(x, axis, block)
        is_half = x.dtype in (torch.float16, torch.bfloat16)
        wide = x.to(torch.float32) if is_half else x
        rows = wide if block is None else as_blocks(wide, block)
        shared = shared_axes(axis, block)
        if symmetric:
            scale, zero = symmetric_scale(rows, shared)
            lowest_code = -127
        else:
            scale, zero = affine_scale(rows, shared)
            lowest_code = -128
        steps = torch.round(rows / scale)
        codes = steps + zero
        clamped = codes.clamp(lowest_code, 127)
        q = clamped.to(torch.int8)
        return (q if block is None else from_blocks(q, x.shape)), scale, zero

    def dequantize(self, q: Tensor, scale: Tensor, zero: Tensor, block: int | None = None) -> Tensor:
        """(q - zero) scale, in the shape of q and the dtype of scale; `block` as given to quantize."""
        codes = q if block is None else as_blocks(q, block)
        steps = codes.to(scale.dtype) - zero.to(scale.dtype)
        values = steps * scale
        return values if block is None else from_blocks(values, q.shape)


def symmetric_scale(rows: Tensor, shared: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(scale, zero) with scale = max|x| / 127 over the shared axes, and zero 0."""
    largest = rows.abs().amax(shared, keepdim=bool(shared))
    scale = largest / 127
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return scale, zero


def affine_scale(rows: Tensor, shared: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(scale, zero) that lay the range over the shared axes, widened to hold 0, on the codes -128..127."""
    lowest = rows.amin(shared, keepdim=bool(shared))
    highest = rows.amax(shared, keepdim=bool(shared))
    lowest = lowest.clamp(max=0)
    highest = highest.clamp(min=0)
    scale = (highest - lowest) / 255
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    if not torch.isfinite(scale).all():
        raise ValueError(f"the range of x is wider than {scale.dtype} can say")
    place = torch.round(-128 - lowest / scale)
    zero = place.clamp(-128, 127).to(torch.int32)
    return scale, zero


def shared_axes(axis: int | None, block: int | None) -> tuple[int, ...]:
    """The axes over which one scale is shared; none named means all, without keeping them."""
    if block is not None:
        return (-1,)
    return () if axis is None else (axis,)


def as_blocks(x: Tensor, block: int) -> Tensor:
    """x flattened and cut into rows of `block`, the last one filled up with zeros.  [...] -> [ceil(numel / n), n]"""
    flat = x.reshape(-1)
    missing = -flat.numel() % block
    filled = torch.cat([flat, flat.new_zeros(missing)])
    return filled.reshape(-1, block)


def from_blocks(rows: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of as_blocks: the filling dropped, the shape restored."""
    flat = rows.reshape(-1)
    kept = flat[: shape.numel()]
    return kept.reshape(shape)


def refuse_unusable(x: Tensor, axis: int | None, block: int | None) -> None:
    """Raise for what `quantize` does not take."""
    if not x.dtype.is_floating_point:
        raise TypeError(f"x must be floating, not {x.dtype}")
    if axis is not None and block is not None:
        raise ValueError(f"give axis or block, not both (axis={axis}, block={block})")
    if block is not None and block < 1:
        raise ValueError(f"block must be at least 1, not {block}")
    if x.numel() == 0:
        raise ValueError(f"x {list(x.shape)} is empty")
    unusable = ~torch.isfinite(x)
    if unusable.any():
        where = unusable.nonzero()[0].tolist()
        raise ValueError(f"x{where} is {x[tuple(where)].item()}: only finite numbers can be quantized")
