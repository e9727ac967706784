"""reference_model/mlp.py against torch."""

import pytest
import torch

from reference_model import mlp


def draw(width=5, hidden=11):
    """x and the four weights."""
    source = torch.Generator().manual_seed(7)
    shapes = [(2, 3, width), (hidden, width), (hidden,), (width, hidden), (width,)]
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


@pytest.mark.parametrize("hidden", [11, 5])
@pytest.mark.parametrize("with_biases", [True, False])
def test_equals_torch(hidden, with_biases):
    """Values and gradients are those of Linear, GELU(tanh), Linear, at square and at oblong weights."""
    x, up_weight, up_bias, down_weight, down_bias = draw(hidden=hidden)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, hidden, bias=with_biases),
        torch.nn.GELU("tanh"),
        torch.nn.Linear(hidden, 5, bias=with_biases),
    ).double()
    state = {"0.weight": up_weight, "2.weight": down_weight}
    if with_biases:
        state |= {"0.bias": up_bias, "2.bias": down_bias}
    theirs.load_state_dict(state)
    ours = [up_weight.requires_grad_(), up_bias, down_weight.requires_grad_(), down_bias]
    if not with_biases:
        ours[1] = ours[3] = None
    out, expected = mlp(x, *ours), theirs(x)
    (out**2).sum().backward()
    (expected**2).sum().backward()
    assert (out - expected).abs().max() <= 1e-12 * expected.abs().max()
    assert torch.allclose(up_weight.grad, theirs[0].weight.grad, rtol=1e-10, atol=1e-10)
    assert torch.allclose(down_weight.grad, theirs[2].weight.grad, rtol=1e-10, atol=1e-10)
