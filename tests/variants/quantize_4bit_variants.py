"""Right four-bit quantizers that differ in how they get there; none of them may fail a claim."""

import bisect
from itertools import pairwise

import numpy
import torch
from torch.nn import functional

NF4 = (
    -1.0,
    -0.6962,
    -0.5251,
    -0.3949,
    -0.2844,
    -0.1848,
    -0.0911,
    0.0,
    0.0796,
    0.1609,
    0.2461,
    0.3379,
    0.4407,
    0.5626,
    0.7230,
    1.0,
)
FP4 = (-12, -8, -6, -4, -3, -2, -0.0625, 0.0, 0.0625, 2, 3, 4, 6, 8, 12)
BOOKS = {"nf4": torch.tensor(NF4), "fp4": torch.tensor(FP4) / 12}
"""Four digits of NF4, as many write it; FP4 in order of size, so that its codes have other numbers."""


def rows_of(x, block):
    """The flattened numbers as rows of a block each, the last one filled up with zeros."""
    return functional.pad(x.reshape(-1), (0, -x.numel() % block)).reshape(-1, block)


def two_to_a_byte(codes):
    pairs = functional.pad(codes.reshape(-1), (0, codes.numel() % 2), value=3).reshape(-1, 2).to(torch.uint8)
    return torch.bitwise_or(pairs[:, 0] << 4, pairs[:, 1])


def one_by_one(packed, count):
    return torch.stack([packed >> 4, packed & 15], 1).reshape(-1)[:count].long()


class Buckets:
    """Searches among the middles between codes; float32 inside; scales as reciprocals; bytes in a column, as signed
    ones."""

    def quantize(self, x, block=64, kind="nf4", double=False):
        if kind not in BOOKS or block < 1:
            raise KeyError(f"{kind} in blocks of {block}")
        rows = rows_of(x.float(), block)
        largest = rows.abs().amax(1)
        inverse = torch.where(largest > 0, 1 / largest, torch.zeros_like(largest))
        inverse = inverse.clamp_max(torch.finfo(torch.float32).max)
        book = BOOKS[kind]
        codes = torch.bucketize(rows * inverse[:, None], (book[1:] + book[:-1]) / 2)
        packed = two_to_a_byte(codes.reshape(-1)[: x.numel()])[:, None].view(torch.int8)
        if double:  # of the scales themselves: of reciprocals, eight even steps are too coarse for the largest blocks
            mean = largest.mean()
            step = (largest - mean).abs().amax().clamp_min(torch.finfo(torch.float32).tiny) / 127
            return packed, {"largest": ((largest - mean) / step).round().to(torch.int8), "mean": mean, "step": step}
        return packed, {"inverse": inverse}

    def dequantize(self, packed, scale, shape, block=64, kind="nf4"):
        if "mean" in scale:
            largest = scale["largest"] * scale["step"] + scale["mean"]
            inverse = torch.where(largest > 0, 1 / largest, torch.zeros_like(largest))
        else:
            inverse = scale["inverse"]
        count = torch.Size(shape).numel()
        values = BOOKS[kind][one_by_one(packed.view(torch.uint8).reshape(-1), count)]
        divisor = inverse.repeat_interleave(block)[:count]
        return torch.where(divisor > 0, values / divisor, torch.zeros_like(values)).reshape(shape)


class PlainLoops:
    """Python's numbers; half-way values go up; a scale for every number; no double quantization."""

    def quantize(self, x, block, kind):
        flat, scales, codes = x.double().reshape(-1).tolist(), [], []
        book = BOOKS[kind].double().tolist()
        if any(value != value or abs(value) == float("inf") for value in flat) or block < 1:
            raise ValueError("x must be finite, blocks of at least one number")
        middles = [(one + other) / 2 for one, other in pairwise(book)]
        for start in range(0, len(flat), block):
            numbers = flat[start : start + block]
            largest = max(abs(number) for number in numbers)
            scales += [largest] * len(numbers)
            codes += [bisect.bisect_right(middles, number / (largest or 1.0)) for number in numbers]
        codes += [0] * (len(codes) % 2)
        return torch.tensor([16 * a + b for a, b in zip(codes[::2], codes[1::2], strict=True)], dtype=torch.uint8), (
            scales,
            x.dtype,
        )

    def dequantize(self, packed, scale, shape, block, kind):
        scales, dtype = scale
        book = BOOKS[kind].double().tolist()
        codes = [half for byte in packed.tolist() for half in (byte // 16, byte % 16)]
        return torch.tensor(
            [book[code] * size for code, size in zip(codes, scales, strict=False)], dtype=dtype
        ).reshape(shape)


class InNumpy:
    """NumPy's arrays, float64 inside; scales of the scales by an affine uint8 over all blocks; shape and kind kept in
    an object."""

    def quantize(self, x, block=64, kind="nf4", double=False):
        book = numpy.sort(BOOKS[kind].double().numpy())
        if block <= 0:
            raise ValueError(block)
        rows = rows_of(x.double(), block).numpy()
        largest = numpy.abs(rows).max(1)
        with numpy.errstate(invalid="ignore"):
            normal = rows / numpy.where(largest == 0, 1, largest)[:, None]
        codes = numpy.abs(normal[..., None] - book).argmin(-1).reshape(-1)[: x.numel()].astype("uint8")
        codes = numpy.append(codes, numpy.zeros(codes.size % 2, "uint8"))
        packed = torch.from_numpy(codes[::2] * numpy.uint8(16) + codes[1::2])
        if not double:
            return packed, (largest,)
        low, step = largest.min(), (numpy.ptp(largest) or 1.0) / 255
        return packed, (numpy.rint((largest - low) / step).astype("uint8"), low, step)

    def dequantize(self, packed, scale, shape, *asked):
        block, kind = asked or (64, "nf4")
        largest = scale[0] if len(scale) == 1 else scale[0] * scale[2] + scale[1]
        halves = numpy.stack([packed.numpy() >> 4, packed.numpy() & 15], 1).reshape(-1)
        values = numpy.sort(BOOKS[kind].double().numpy())[halves[: int(numpy.prod(shape))]]
        return torch.from_numpy(values * numpy.repeat(largest, block)[: values.size]).reshape(shape)


class InItsOwnPrecision:
    """Computes in the dtype it is given, 16 bit too; quantized scales as 8-bit floats around their mean; what comes
    back has x's dtype."""

    def quantize(self, x, block=64, kind="nf4", double=False):
        if kind not in ("nf4", "fp4"):
            raise ValueError(kind)
        rows = rows_of(x, block)
        largest = torch.linalg.vector_norm(rows, float("inf"), 1, keepdim=True)
        normal = (rows / largest.where(largest > 0, torch.ones_like(largest))).clamp(-1, 1)
        codes = torch.cdist(normal.reshape(-1, 1).float(), BOOKS[kind][:, None]).argmin(1)
        packed = two_to_a_byte(codes[: x.numel()])
        if not double:
            return packed, largest
        mean, spread = largest.mean(), (largest - largest.mean()).abs().amax()
        return packed, (((largest - mean) / spread).float().to(torch.float8_e4m3fn), mean, spread)

    def dequantize(self, packed, scale, shape, block=64, kind="nf4"):
        if isinstance(scale, tuple):
            scale = scale[0].to(scale[1].dtype) * scale[2] + scale[1]
        count = torch.Size(shape).numel()
        codes = functional.pad(one_by_one(packed, count), (0, -count % block)).reshape(-1, block)
        return (BOOKS[kind].to(scale.dtype)[codes] * scale).reshape(-1)[:count].view(shape)


QUANTIZERS = (Buckets, PlainLoops, InNumpy, InItsOwnPrecision)

try:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
except ImportError:
    BITSANDBYTES = ()
else:

    class BitsAndBytes:
        """bitsandbytes' own, on the CPU; float64 goes in as float32."""

        def quantize(self, x, block=64, kind="nf4", double=False):
            x = x.float() if x.dtype == torch.float64 else x
            return quantize_4bit(x.contiguous(), blocksize=block, quant_type=kind, compress_statistics=double)

        def dequantize(self, packed, scale, shape, *asked):
            return dequantize_4bit(packed, scale).reshape(shape)

    BITSANDBYTES = (BitsAndBytes,)


VARIANTS = {quantizer.__name__: {"quantize_4bit": quantizer} for quantizer in (*QUANTIZERS, *BITSANDBYTES)}
