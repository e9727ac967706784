"""reference_model/quantize_model.py against the unquantized model, dense packing by hand, and bitsandbytes."""

from itertools import pairwise

import pytest
import torch

from reference_model import Config, gpt2, initialise, quantize_model
from reference_model.quantize_model import dequantize_rows, pack_bits, quantize_rows, unpack_bits

CONFIG = Config(vocab_size=11, context=8, width=12, heads=3, layers=2)


def model(config=CONFIG, dtype=torch.float64):
    return initialise(config, torch.Generator().manual_seed(15), dtype)


def names(weights):
    return {name: value for block in (weights, *weights["blocks"]) for name, value in block.items() if name != "blocks"}


def test_only_the_matrices_of_attention_and_mlp_change():
    """And nothing that was given does."""
    weights = model()
    before = {name: value.clone() for name, value in names(weights).items()}
    held = names(quantize_model(weights, CONFIG).weights())
    changed = {name for name, value in names(weights).items() if not torch.equal(held[name], value)}
    assert changed == {"qkv_weight", "out_weight", "up_weight", "down_weight"}
    assert all(torch.equal(value, before[name]) for name, value in names(weights).items())


def test_the_logits_are_those_of_its_weights():
    """The plain model with what is held gives the same."""
    ids = torch.arange(8).reshape(2, 4)
    quantized = quantize_model(model(), CONFIG, 4)
    assert torch.equal(quantized.forward(ids), gpt2(ids, quantized.weights(), CONFIG))


def test_more_bits_lose_less():
    """Each bit halves the error of the logits, roughly."""
    ids = torch.arange(8).reshape(1, 8)
    exact = gpt2(ids, model(), CONFIG)
    errors = [
        float((quantize_model(model(), CONFIG, bits).forward(ids) - exact).pow(2).mean().sqrt()) for bits in range(2, 9)
    ]
    ratios = [before / after for before, after in pairwise(errors)]
    assert all(1.4 < ratio < 5 for ratio in ratios), ratios


def test_what_is_asked_for_is_quantized_too():
    """Norms of ones are on codes already; embeddings change, and the head with them."""
    held = names(quantize_model(model(), CONFIG, 8, ("norms", "embeddings")).weights())
    changed = {name for name, value in names(model()).items() if not torch.equal(held[name], value)}
    assert changed == {"token_embedding", "position_embedding"}


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("count", [1, 2, 7, 8, 64])
def test_packing_is_dense(bits, count):
    """ceil(n bits / 8) bytes, and the same codes again: those of 3, 5, 6 and 7 bits straddle bytes."""
    codes = torch.randint(0, 2**bits, (count,), generator=torch.Generator().manual_seed(bits))
    packed = pack_bits(codes, bits)
    assert packed.numel() == -(-count * bits // 8)
    assert torch.equal(unpack_bits(packed, bits, count), codes)


def test_three_bits_by_hand():
    """5, 1, 6, 3 from the lowest bit on: 101 100 01|1 110 0000 read from the left."""
    assert pack_bits(torch.tensor([5, 1, 6, 3]), 3).tolist() == [5 + (1 << 3) + ((6 & 3) << 6), (6 >> 2) + (3 << 1)]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_error_of_a_matrix_is_half_a_step(bits):
    """Of its row; a row of zeros stays so."""
    weight = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weight[2] = 0.0
    back = dequantize_rows(quantize_rows(weight, bits))
    step = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert ((back - weight).abs() <= step / 2 * (1 + 1e-12)).all()


def test_eight_bits_equal_bitsandbytes():
    """Row by row, as Linear8bitLt holds them; float32 inside there, so one code may differ at a tie."""
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = torch.randn(40, 96, generator=torch.Generator().manual_seed(3))
    codes, largest, _ = functional.int8_vectorwise_quant(weight)
    back = dequantize_rows(quantize_rows(weight, 8))
    assert (back - functional.int8_vectorwise_dequant(codes, largest)).abs().max() <= 1.01 * largest.max() / 127
    assert (back - functional.int8_vectorwise_dequant(codes, largest)).abs().mean() <= 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 1}, "bits must be 2 to 8, not 1"),
        ({"bits": 9}, "not 9"),
        ({"kinds": ("heads",)}, r"unknown kinds \['heads'\]"),
    ],
)
def test_refuses_what_it_cannot_use(options, message):
    """By name."""
    with pytest.raises(ValueError, match=message):
        quantize_model(model(), CONFIG, **options)
