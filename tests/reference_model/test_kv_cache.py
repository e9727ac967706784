"""reference_model/kv_cache.py against attention over the whole sequence, and against GPT-2's cache in transformers."""

import itertools

import pytest
import torch

from reference_model import attention, kv_cache


def draw(width=6, time=5, batch=2, bias=True):
    """x and the weights of one layer."""
    source = torch.Generator().manual_seed(3)
    shapes = ((batch, time, width), (3 * width, width), (3 * width,), (width, width), (width,))
    x, *weights = (torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes)
    return x, [w if bias or w.dim() > 1 else None for w in weights]


def run(cache, x, lengths):
    """The sequence given in pieces of these lengths."""
    return torch.cat([cache.extend(piece) for piece in x.split(lengths, 1)], 1)


@pytest.mark.parametrize("bias", [True, False])
def test_every_cut_gives_attention_over_the_whole(bias):
    """All 16 ways to cut five positions."""
    x, weights = draw(bias=bias)
    expected = attention(x, *weights, 3)
    for cuts in itertools.product((False, True), repeat=4):
        at = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), 5]
        lengths = [b - a for a, b in itertools.pairwise(at)]
        assert (run(kv_cache(*weights, 3, 5), x, lengths) - expected).abs().max() <= 1e-13


def test_equals_gpt2_in_transformers():
    """GPT2Attention with a DynamicCache: a prefill of two, then steps."""
    transformers = pytest.importorskip("transformers")
    modeling = pytest.importorskip("transformers.models.gpt2.modeling_gpt2")
    x, weights = draw()
    config = transformers.GPT2Config(n_embd=6, n_head=3, attn_pdrop=0.0, resid_pdrop=0.0, attn_implementation="eager")
    theirs = modeling.GPT2Attention(config, layer_idx=0).double().eval()
    names = ("c_attn.weight", "c_attn.bias", "c_proj.weight", "c_proj.bias")
    values = (weights[0].T, weights[1], weights[2].T, weights[3])
    theirs.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    past, ours = transformers.DynamicCache(), kv_cache(*weights, 3, 9)
    mask = torch.full((2, 2), float("-inf"), dtype=torch.float64).triu(1)
    for piece in map(torch.Tensor.contiguous, x.split((2, 1, 1, 1), 1)):
        later = mask if piece.shape[1] == 2 else None
        expected = theirs(piece, past_key_values=past, attention_mask=later)[0]
        assert (ours.extend(piece) - expected).abs().max() <= 1e-12


def test_refuses_what_does_not_fit():
    """And says how much that is; what fits exactly is taken."""
    x, weights = draw()
    cache = kv_cache(*weights, 3, 4)
    cache.prefill(x[:, :4])
    with pytest.raises(ValueError, match="5 positions do not fit into a context of 4"):
        cache.step(x[:, 4:])
    with pytest.raises(ValueError, match="not divisible by 4 heads"):
        kv_cache(*weights, 4, 4)
    with pytest.raises(ValueError, match="at least 1"):
        kv_cache(*weights, 3, 0)


def test_counts_and_forgets():
    """length() counts positions; after reset() it is as new."""
    x, weights = draw()
    cache = kv_cache(*weights, 3, 8)
    first = cache.prefill(x)
    assert cache.length() == 5
    cache.reset()
    assert cache.length() == 0
    assert torch.equal(cache.prefill(x), first)
