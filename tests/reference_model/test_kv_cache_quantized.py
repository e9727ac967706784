"""reference_model/kv_cache_quantized.py against attention, transformers' own levels where they are, and its bound."""

import pytest
import torch

from reference_model import attention, kv_cache_quantized
from reference_model.kv_cache_quantized import dequantize_vectors, pack, quantize_vectors, unpack


def draw(width=12, time=5):
    source = torch.Generator().manual_seed(3)
    shapes = ((2, time, width), (3 * width, width), (3 * width,), (width, width), (width,))
    return [torch.randn(shape, dtype=torch.float64, generator=source) / shape[-1] ** 0.25 for shape in shapes]


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("size", [1, 3, 5, 8, 11])
def test_packing_comes_back(bits, size):
    """Every code, at lengths that fill no byte."""
    codes = torch.randint(0, 2**bits, (2, 3, 7, size), generator=torch.Generator().manual_seed(size))
    packed = pack(codes, bits)
    assert packed.dtype == torch.uint8
    assert packed.shape[-1] == -(-size * bits // 8)
    assert torch.equal(unpack(packed, bits, size).long(), codes)


@pytest.mark.parametrize("bits", range(2, 9))
def test_numbers_come_back_within_half_a_step(bits):
    """And the smallest and the largest of a vector exactly; a constant vector too."""
    x = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(bits))
    x[3] = 1.25
    back = dequantize_vectors(*quantize_vectors(x, bits), bits, 9)
    half = (x.amax(-1) - x.amin(-1)) / (2**bits - 1) / 2
    assert ((back - x).abs().amax(-1) <= half * (1 + 1e-12) + 1e-15).all()
    assert torch.equal(back[3], x[3])


def test_in_eight_bits_it_is_nearly_attention():
    """However it is cut, and with fewer bits further off."""
    x, *weights = draw()
    expected, errors = attention(x, *weights, 3), []
    for bits in (8, 4, 2):
        cache = kv_cache_quantized(*weights, 3, 5, bits)
        out = torch.cat([cache.prefill(x[:, :2]), cache.extend(x[:, 2:4]), cache.step(x[:, 4:])], 1)
        errors.append(float((out - expected).abs().max()))
    assert errors[0] < 0.02 < errors[2]
    assert errors == sorted(errors)


def test_three_bits_take_three_bits():
    """Of 128 features: 48 bytes and two numbers."""
    packed, step, lowest = quantize_vectors(torch.randn(2, 1, 6, 128), 3)
    assert packed.shape == (2, 1, 6, 48)
    assert step.shape == lowest.shape == (2, 1, 6, 1)


def test_refuses_what_it_cannot_hold():
    """And says what that is."""
    x, *weights = draw()
    with pytest.raises(ValueError, match="2 to 8 bits, not 9"):
        kv_cache_quantized(*weights, 3, 5, 9)
    cache = kv_cache_quantized(*weights, 3, 4, 4)
    with pytest.raises(RuntimeError, match="nothing is held"):
        cache.contents()
    with pytest.raises(ValueError, match="5 positions do not fit into a context of 4"):
        cache.prefill(x)
