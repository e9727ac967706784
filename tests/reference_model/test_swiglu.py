"""reference_model/swiglu.py against Llama's feed-forward in transformers, and against its formula."""

import pytest
import torch

from reference_model import swiglu


def draw(width=5, hidden=7, leading=(2, 3)):
    """x and the three weights."""
    source = torch.Generator().manual_seed(2)
    shapes = ((*leading, width), (hidden, width), (hidden, width), (width, hidden))
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


def test_equals_llama():
    """LlamaMLP with the same weights: gate_proj, up_proj, down_proj in this order. Values and gradients."""
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = pytest.importorskip("transformers").LlamaConfig(hidden_size=5, intermediate_size=7, num_attention_heads=5)
    module = llama.LlamaMLP(config).double()
    ours = [tensor.clone().requires_grad_() for tensor in draw()]
    theirs = [tensor.clone().requires_grad_() for tensor in draw()]
    names = ("gate_proj.weight", "up_proj.weight", "down_proj.weight")
    expected = torch.func.functional_call(module, dict(zip(names, theirs[1:], strict=True)), (theirs[0],))
    out = swiglu(*ours)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-13 * expected.abs().max()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-12 * other.grad.abs().max()


def test_golden_values():
    """By hand: gate 2, up 3, down 5 and x = 1 give 5 * silu(2) * 3; with gate and up exchanged it is another number."""
    one = torch.ones(1, 1, dtype=torch.float64)
    silu_2, silu_3 = 2 / (1 + torch.e**-2), 3 / (1 + torch.e**-3)
    assert swiglu(one, 2 * one, 3 * one, 5 * one).item() == pytest.approx(15 * silu_2, rel=1e-15)
    assert swiglu(one, 3 * one, 2 * one, 5 * one).item() == pytest.approx(10 * silu_3, rel=1e-15)


@pytest.mark.parametrize("leading", [(), (4,), (2, 1, 3)])
def test_leading_axes_are_free(leading):
    """Whatever stands before the last axis is carried along."""
    x, gate, up, down = draw(leading=leading)
    flat = swiglu(x.reshape(-1, 5), gate, up, down)
    assert (swiglu(x, gate, up, down).reshape(-1, 5) - flat).abs().max() <= 1e-14


def test_refuses_a_weight_that_lies_the_other_way():
    """[in, out] raises where the two differ."""
    x, gate, up, down = draw()
    with pytest.raises(RuntimeError):
        swiglu(x, gate.T, up, down)
