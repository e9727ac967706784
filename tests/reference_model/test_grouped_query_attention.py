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
