"""Numbers in four bits: the codes of a book, two to a byte."""

import torch
from torch import Tensor

from reference_model.quantization import as_blocks, quantize_int8, refuse_unusable

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)
SCALES_PER_BLOCK = 256


class quantize_4bit:
    """Floats to four-bit codes of a book, with the largest absolute value of each block as its scale, and back.

    Source: Dettmers et al. 2023 (QLoRA), section 3 ("4-bit NormalFloat", "Double Quantization") and appendix E (the NF4
    book); bitsandbytes functional.py `quantize_4bit` (which number is in which half of a byte, the FP4 book).
    """

    def quantize(
        self, x: Tensor, block: int = 64, kind: str = "nf4", double: bool = False
    ) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor, Tensor]]:
        """x [...] to (packed, scale): packed uint8 [ceil(numel / 2)], scale [ceil(numel / block)].

        The flattened x is cut into blocks (the last may be shorter), each divided by its largest absolute value; each
        number becomes the nearest code of the book of `kind`, "nf4" or "fp4".  The first of two numbers is in the high
        half of its byte; of an odd number the last low half means nothing.  double: the scales themselves become (int8
        codes, their scales, their mean), as `quantize_scales` says.  scale is in x's dtype (float32 for 16 bit).
        A block of nothing but zeros comes back as zeros.  Raises TypeError unless x is floating, ValueError for nan or
        inf, an empty x, a block below 1 or another kind.
        """
        refuse_unusable(x, None, block)
        is_half = x.dtype in (torch.float16, torch.bfloat16)
        wide = x.to(torch.float32) if is_half else x
        book = code_book(kind, wide)
        rows = as_blocks(wide, block)
        scale = rows.abs().amax(1)
        divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
        normal = rows / divisor[:, None]
        codes = nearest_codes(normal, book)
        codes = codes.reshape(-1)[: x.numel()]
        packed = pack(codes)
        return packed, (quantize_scales(scale) if double else scale)

    def dequantize(
        self,
        packed: Tensor,
        scale: Tensor | tuple[Tensor, Tensor, Tensor],
        shape: tuple[int, ...],
        block: int = 64,
        kind: str = "nf4",
    ) -> Tensor:
        """What `quantize` made of a tensor of this shape, in the dtype of the scales; block and kind as given there."""
        scales = dequantize_scales(*scale) if isinstance(scale, tuple) else scale
        book = code_book(kind, scales)
        numel = torch.Size(shape).numel()
        codes = unpack(packed)[:numel]
        values = book[codes]
        owner = torch.arange(numel, device=codes.device) // block
        scaled = values * scales[owner]
        return scaled.reshape(shape)


def code_book(kind: str, like: Tensor) -> Tensor:
    """The sixteen numbers of the codes 0..15, in the dtype of `like`; ValueError for an unknown kind."""
    if kind == "nf4":
        return like.new_tensor(NF4)
    if kind == "fp4":
        smallest = 0.0625
        sizes = like.new_tensor([0.0, smallest, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0])
        both = torch.cat([sizes, -sizes])  # the highest of the four bits is the sign
        return both / 12.0
    raise ValueError(f"kind must be 'nf4' or 'fp4', not {kind!r}")


def nearest_codes(normal: Tensor, book: Tensor) -> Tensor:
    """The place of the nearest number of the book, the first of equally near ones.  [...] -> int64 [...]"""
    distance = (normal[..., None] - book).abs()
    return distance.argmin(-1)


def pack(codes: Tensor) -> Tensor:
    """Two codes to a byte, the first in the high half.  int64 [n] -> uint8 [ceil(n / 2)]"""
    filled = torch.cat([codes, codes.new_zeros(codes.numel() % 2)])
    first = filled[0::2]
    second = filled[1::2]
    packed = first * 16 + second
    return packed.to(torch.uint8)


def unpack(packed: Tensor) -> Tensor:
    """The inverse of `pack`, with what filled up an odd number still there.  uint8 [m] -> int64 [2 m]"""
    first = packed // 16
    second = packed % 16
    pairs = torch.stack([first, second], -1)
    return pairs.reshape(-1).to(torch.int64)


def quantize_scales(scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scales as int8 codes in blocks of 256 around their mean: (codes, scales of the scales, mean).

    Scales are positive: what is left after taking off the mean has both signs and is smaller.
    Dettmers et al. 2023, section 3 ("Double Quantization"), with int8 where the paper has an 8-bit float.
    """
    mean = scale.mean()
    centred = scale - mean
    codes, again, _ = quantize_int8().quantize(centred, block=SCALES_PER_BLOCK)
    return codes, again, mean


def dequantize_scales(codes: Tensor, again: Tensor, mean: Tensor) -> Tensor:
    """The inverse of `quantize_scales`, within its rounding."""
    zero = torch.zeros_like(again)
    centred = quantize_int8().dequantize(codes, again, zero, block=SCALES_PER_BLOCK)
    return centred + mean
