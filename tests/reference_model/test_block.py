"""reference_model/block.py against torch's own pre-norm encoder layer."""

import pytest
import torch

from reference_model import Config, block, gelu, initialise

CONFIG = Config(vocab_size=31, context=9, width=12, heads=3, layers=1)


def draw():
    """x and weights none of which is at its initial value."""
    source = torch.Generator().manual_seed(8)
    weights = initialise(CONFIG, source, torch.float64)["blocks"][0]
    weights = {
        name: value + 0.3 * torch.randn(value.shape, dtype=value.dtype, generator=source)
        for name, value in weights.items()
    }
    return torch.randn(2, 7, 12, dtype=torch.float64, generator=source), weights


THEIR_NAMES = {
    "norm_1_weight": "norm1.weight",
    "norm_1_bias": "norm1.bias",
    "qkv_weight": "self_attn.in_proj_weight",
    "qkv_bias": "self_attn.in_proj_bias",
    "out_weight": "self_attn.out_proj.weight",
    "out_bias": "self_attn.out_proj.bias",
    "norm_2_weight": "norm2.weight",
    "norm_2_bias": "norm2.bias",
    "up_weight": "linear1.weight",
    "up_bias": "linear1.bias",
    "down_weight": "linear2.weight",
    "down_bias": "linear2.bias",
}


def tanh_gelu(x):
    """torch's gelu in the form of GPT-2."""
    return torch.nn.functional.gelu(x, approximate="tanh")


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_equals_torch_encoder_layer(eps):
    """A causal TransformerEncoderLayer with norm_first and the same weights gives the same numbers."""
    x, weights = draw()
    theirs = torch.nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation=tanh_gelu, layer_norm_eps=eps, batch_first=True, norm_first=True
    ).double()
    theirs.load_state_dict({THEIR_NAMES[name]: value for name, value in weights.items()})
    expected = theirs(x, src_mask=torch.ones(7, 7, dtype=torch.bool).triu(1))
    out = block(x, weights, 3, eps)
    assert (out - expected).abs().max() <= 1e-11 * expected.abs().max()


def test_is_the_identity_without_its_output_projections():
    """With out and down at zero the stream passes through, untouched by the norms."""
    x, weights = draw()
    silent = {"out_weight", "out_bias", "down_weight", "down_bias"}
    weights = {name: torch.zeros_like(value) if name in silent else value for name, value in weights.items()}
    assert torch.equal(block(x, weights, 3), x)


def test_a_bias_may_be_none_or_missing():
    """Both stand for zeros."""
    x, weights = draw()
    zero = {name: torch.zeros_like(value) if "bias" in name else value for name, value in weights.items()}
    none = {name: None if "bias" in name else value for name, value in weights.items()}
    missing = {name: value for name, value in weights.items() if "bias" not in name}
    expected = block(x, zero, 3)
    assert torch.allclose(block(x, none, 3), expected, rtol=1e-14, atol=1e-14)
    assert torch.equal(block(x, none, 3), block(x, missing, 3))


def test_names_a_missing_weight():
    """A matrix cannot be left out."""
    x, weights = draw()
    del weights["up_weight"]
    with pytest.raises(KeyError, match="up_weight"):
        block(x, weights, 3)


def test_exchanging_the_code_of_a_part_changes_the_block():
    """The parts are reached by their global names, so a mistake put into one of them shows in the whole."""
    x, weights = draw()
    right = block(x, weights, 3)
    original = gelu.__code__
    try:
        gelu.__code__ = (lambda x: x).__code__
        wrong = block(x, weights, 3)
    finally:
        gelu.__code__ = original
    assert (wrong - right).abs().max() > 1e-3
    assert torch.equal(block(x, weights, 3), right)
