"""reference_model/quantize_4bit.py against bitsandbytes, the quantiles it is made of, and the closed-form bounds."""

import math

import pytest
import torch

from reference_model import quantize_4bit
from reference_model.quantize_4bit import NF4, code_book, pack, unpack

KINDS = {"nf4": 0.151904, "fp4": 1 / 6}
"""Half the widest gap of each book: the largest error relative to the largest number of a block."""


def draw(shape=(7, 33), dtype=torch.float64, seed=15):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def back_and_forth(x, block=64, kind="nf4", double=False):
    quantizer = quantize_4bit()
    packed, scale = quantizer.quantize(x, block, kind, double)
    return quantizer.dequantize(packed, scale, x.shape, block, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [3, 32, 64, 1000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_error_is_within_the_bound(kind, block, dtype):
    """Per element: half the widest gap of the book times the largest of its block."""
    x = draw(dtype=dtype)
    back = back_and_forth(x, block, kind)
    owner = (torch.arange(x.numel()) // block).reshape(x.shape)
    largest = torch.stack([x[owner == b].abs().max() for b in range(int(owner.max()) + 1)])
    assert back.shape == x.shape
    assert back.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    assert ((back - x).abs() <= largest[owner] * KINDS[kind] * (1 + 1e-5)).all()


def test_nf4_is_made_of_quantiles():
    """QLoRA, appendix E: quantiles of the normal distribution, eight on the positive side and seven on the negative,
    and 0."""
    offset = 0.5 * ((1 - 1 / 30) + (1 - 1 / 32))  # 0.9677083, as bitsandbytes' create_normal_map has it

    def quantile(share):
        return math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * share - 1, dtype=torch.float64)))

    positive = [quantile(float(p)) for p in torch.linspace(offset, 0.5, 9, dtype=torch.float64)[:-1]]
    negative = [-quantile(float(p)) for p in torch.linspace(offset, 0.5, 8, dtype=torch.float64)[:-1]]
    book = sorted(value / positive[0] for value in [*positive, 0.0, *negative])
    assert torch.allclose(torch.tensor(book), torch.tensor(NF4), atol=1e-6)


def test_fp4_is_sign_exponent_and_mantissa():
    """bitsandbytes' FP4: two bits of exponent, one of mantissa, the largest 12, the smallest 1/16 in place of 1."""
    book = code_book("fp4", torch.zeros((), dtype=torch.float64)) * 12
    assert book.tolist() == [0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3]


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_packing_by_hand(count):
    """The first of two codes is in the high half; an odd one leaves the low half empty."""
    codes = torch.arange(count) + 5
    packed = pack(codes)
    assert packed.tolist() == [16 * (5 + i) + (6 + i if i + 1 < count else 0) for i in range(0, count, 2)]
    assert torch.equal(unpack(packed)[:count], codes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_equals_bitsandbytes(kind, block):
    """The bytes of released code are ours, and so is what it makes of them (on the CPU)."""
    functional = pytest.importorskip("bitsandbytes.functional")
    x = draw((3, block + 5), torch.float32)
    theirs, state = functional.quantize_4bit(x, blocksize=block, quant_type=kind)
    packed, scale = quantize_4bit().quantize(x, block, kind)
    assert torch.equal(scale, state.absmax)
    book = code_book(kind, x)  # of the two zeros of FP4 they take the negative one too
    assert torch.equal(book[unpack(packed)][: x.numel()], book[unpack(theirs[:, 0])][: x.numel()])
    back = functional.dequantize_4bit(theirs, state)
    assert torch.allclose(quantize_4bit().dequantize(packed, scale, x.shape, block, kind), back, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_double_quantization_costs_little_and_saves_memory(kind):
    """Below 1.001 times the error, where bitsandbytes' 8-bit map costs less than 1.001 too; 0.37 bits a number less."""
    x = draw((512, 128), torch.float32)
    plain, double = (float((back_and_forth(x, 64, kind, way) - x).pow(2).mean()) for way in (False, True))
    assert double / plain < 1.001**2
    _, scale = quantize_4bit().quantize(x, 64, kind)
    _, (codes, again, mean) = quantize_4bit().quantize(x, 64, kind, double=True)
    saved = scale.nbytes - codes.nbytes - again.nbytes - mean.nbytes
    assert 8 * saved / x.numel() == pytest.approx(0.373, abs=1e-3)


def test_zeros_stay_and_blocks_keep_to_themselves():
    """An empty block gives zeros; a huge number changes its own block alone."""
    x = draw((4, 64))
    x[1] = 0.0
    back = back_and_forth(x)
    spoiled = x.clone()
    spoiled[2, 3] = 1e6
    other = back_and_forth(spoiled)
    assert (back[1] == 0).all()
    assert torch.equal(back[[0, 1, 3]], other[[0, 1, 3]])


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (torch.ones(3), {"kind": "nf5"}, ValueError, "kind must be 'nf4' or 'fp4', not 'nf5'"),
        (torch.ones(3), {"block": 0}, ValueError, "block must be at least 1, not 0"),
        (torch.ones(0, 3), {}, ValueError, r"x \[0, 3\] is empty"),
        (torch.ones(3, dtype=torch.int64), {}, TypeError, "x must be floating"),
        (torch.tensor([0.0, math.nan]), {}, ValueError, r"x\[1\] is nan"),
    ],
)
def test_refuses_what_it_cannot_quantize(x, options, error, message):
    """By name."""
    with pytest.raises(error, match=message):
        quantize_4bit().quantize(x, **options)
