"""reference_model/grouped_query_attention.py against attention, torch's fused kernel, and Llama in transformers."""

import pytest
import torch
from torch.nn import functional

from reference_model import attention, grouped_query_attention


def draw(heads=4, groups=2, size=3, time=5):
    """x and the weights."""
    source, width = torch.Generator().manual_seed(5), heads * size
    shapes = ((2, time, width), (width, width), (groups * size, width), (groups * size, width), (width, width))
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


def test_a_group_for_each_head_is_attention():
    """G = H."""
    x, q, k, v, out = draw(groups=4)
    expected = attention(x, torch.cat([q, k, v]), None, out, None, 4)
    assert (grouped_query_attention(x, q, k, v, out, 4, 4) - expected).abs().max() <= 1e-12


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_the_fused_kernel(groups):
    """torch's own sharing of heads."""
    x, q, k, v, out = draw(groups=groups)
    heads = [functional.linear(x, w).unflatten(-1, (-1, 3)).transpose(1, 2) for w in (q, k, v)]
    mixed = functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    expected = functional.linear(mixed.transpose(1, 2).flatten(2), out)
    assert (grouped_query_attention(x, q, k, v, out, 4, groups) - expected).abs().max() <= 1e-12


@pytest.mark.parametrize("groups", [1, 2])
def test_equals_llama_without_rotation(groups):
    """LlamaAttention with all positions at 0. Values and gradients."""
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = pytest.importorskip("transformers").LlamaConfig(
        hidden_size=12, num_attention_heads=4, num_key_value_heads=groups, head_dim=2, attn_implementation="sdpa"
    )
    config.head_dim = 3  # refused when it is given, for it cannot be rotated; here nothing is
    module = llama.LlamaAttention(config, 0).double()
    ours, theirs = ([t.clone().requires_grad_() for t in draw(groups=groups)] for _ in range(2))
    names = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight")
    still = (torch.ones(1, 5, 3, dtype=torch.float64), torch.zeros(1, 5, 3, dtype=torch.float64))
    mask = torch.full((1, 1, 5, 5), float("-inf"), dtype=torch.float64).triu(1)
    given = dict(zip(names, theirs[1:], strict=True))
    expected, _ = torch.func.functional_call(module, given, (theirs[0], still, mask))
    out = grouped_query_attention(*ours, 4, groups)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-12 * expected.abs().max()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-11 * other.grad.abs().max()


def test_refuses_sizes_that_do_not_divide():
    """And names them."""
    with pytest.raises(ValueError, match="4 heads are not divisible into 3 groups"):
        grouped_query_attention(*draw(groups=3), 4, 3)
    with pytest.raises(ValueError, match="width 12 is not divisible by 5 heads"):
        grouped_query_attention(*draw(), 5, 1)
    with pytest.raises(ValueError, match="3 features cannot be rotated in pairs"):
        grouped_query_attention(*draw(), 4, 2, positions="rotary")


def rotary(size=4, **settings):
    """Four heads of an even size, rotated."""
    return grouped_query_attention(*draw(size=size), 4, 2, positions="rotary", **settings)


def test_pairs_of_neighbours_are_complex_numbers():
    """Llama's own code multiplies each pair, as a complex number, by e^(i position / base^(2i / K))."""
    x, q, k, v, out = draw(size=4)
    turns = torch.outer(torch.arange(5.0, dtype=torch.float64), 500.0 ** -(torch.arange(0, 4, 2).double() / 4))
    heads = [functional.linear(x, w).unflatten(-1, (-1, 4)).transpose(1, 2) for w in (q, k, v)]
    for i in range(2):
        pairs = torch.view_as_complex(heads[i].unflatten(-1, (-1, 2)).contiguous())
        heads[i] = torch.view_as_real(pairs * torch.polar(torch.ones_like(turns), turns)).flatten(-2)
    mixed = functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    expected = functional.linear(mixed.transpose(1, 2).flatten(2), out)
    assert (rotary(rope_base=500.0) - expected).abs().max() <= 1e-12


def test_a_window_as_long_as_the_sequence_changes_nothing():
    """And of one position, every position sees itself alone: the value, projected."""
    assert torch.equal(rotary(window=5), rotary())
    x, _, _, v, out = draw(size=4)
    own = functional.linear(x, v).unflatten(-1, (2, 4)).repeat_interleave(2, -2).flatten(-2)
    assert (rotary(window=1) - functional.linear(own, out)).abs().max() <= 1e-12


@pytest.mark.parametrize("layer", [0, 1])
def test_equals_gpt_oss(layer):
    """Biases, sinks, and a window in the first layer. Values and gradients of the sinks."""
    theirs = pytest.importorskip("transformers.models.gpt_oss.modeling_gpt_oss")
    config = theirs.GptOssConfig(
        hidden_size=10,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=6,
        sliding_window=3,
        num_hidden_layers=2,
        attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": 150000.0},
    )
    module, x = theirs.GptOssAttention(config, layer).double(), torch.randn(2, 7, 10, dtype=torch.float64)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    cos, sin = theirs.GptOssRotaryEmbedding(config)(x, torch.arange(7)[None])
    ones = torch.ones(7, 7, dtype=torch.bool)
    hidden = ones.triu(1) | (ones.tril(-3) if layer == 0 else ~ones)
    mask = torch.zeros(1, 1, 7, 7, dtype=torch.float64).masked_fill(hidden, float("-inf"))
    expected, _ = module(x, (cos, sin), mask)
    projections = (module.q_proj, module.k_proj, module.v_proj, module.o_proj)
    out = grouped_query_attention(
        x,
        *(p.weight for p in projections),
        4,
        2,
        *(p.bias for p in projections),
        sinks=module.sinks,
        positions="rotary_halves",
        rope_base=150000.0,
        window=3 if layer == 0 else None,
    )
    assert (out - expected).abs().max() <= 1e-5 * expected.abs().max()  # their tables are in float32
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), module.sinks)
    (gradient,) = torch.autograd.grad(out.square().sum(), module.sinks)
    assert (gradient - expected_gradient).abs().max() <= 1e-4 * expected_gradient.abs().max()


def test_the_norm_of_heads():
    """A gain of [K] is of each head, one of [H K] of all heads together."""
    x, q, k, v, out = draw()
    gain_q, gain_k = torch.full((12,), 1.5, dtype=torch.float64), torch.full((6,), 0.5, dtype=torch.float64)
    together = grouped_query_attention(x, q, k, v, out, 4, 2, q_norm_weight=gain_q, k_norm_weight=gain_k, eps=0.0)
    x_q, x_k = functional.linear(x, q), functional.linear(x, k)
    heads = [functional.rms_norm(x_q, (12,), gain_q, 0.0), functional.rms_norm(x_k, (6,), gain_k, 0.0)]
    heads = [t.unflatten(-1, (-1, 3)).transpose(1, 2) for t in (*heads, functional.linear(x, v))]
    mixed = functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    assert (together - functional.linear(mixed.transpose(1, 2).flatten(2), out)).abs().max() <= 1e-12
    heads = [functional.linear(x, w).unflatten(-1, (-1, 3)) for w in (q, k, v)]
    heads = [functional.rms_norm(t, (3,), g[:3], 0.0) for t, g in zip(heads, (gain_q, gain_k), strict=False)] + heads[
        2:
    ]
    heads = [t.transpose(1, 2) for t in heads]
    mixed = functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    each = grouped_query_attention(x, q, k, v, out, 4, 2, q_norm_weight=gain_q[:3], k_norm_weight=gain_k[:3], eps=0.0)
    assert (each - functional.linear(mixed.transpose(1, 2).flatten(2), out)).abs().max() <= 1e-12
