"""reference_model/layer_norm.py against torch."""

import inspect

import pytest
import torch

from reference_model import layer_norm

FAMILIES = {
    "ordinary": (0.0, 1.0),
    "large offset": (1e4, 1.0),
    "tiny spread": (0.0, 1e-4),
    "constant rows": (3.0, 0.0),
}


def draw(mean, spread, shape=(3, 5, 12)):
    """x, weight and bias, none of them 0 or 1 on average."""
    source = torch.Generator().manual_seed(3)
    x = mean + spread * torch.randn(shape, dtype=torch.float64, generator=source)
    weight = 2 + torch.randn(shape[-1], dtype=torch.float64, generator=source)
    bias = 1 + torch.randn(shape[-1], dtype=torch.float64, generator=source)
    return x, weight, bias


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_torch(family):
    """Values and all three gradients are torch's, on easy and on hard rows."""
    arguments = draw(*FAMILIES[family])
    ours = [argument.clone().requires_grad_() for argument in arguments]
    theirs = [argument.clone().requires_grad_() for argument in arguments]
    out = layer_norm(*ours, 1e-5)
    expected = torch.nn.functional.layer_norm(theirs[0], (12,), theirs[1], theirs[2], 1e-5)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-10 * expected.abs().max()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-9 * other.grad.abs().max().clamp(min=1)


def test_eps_is_inside_the_root():
    """A row of variance 1 under eps 3 is divided by 2."""
    x = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert layer_norm(x, None, None, 3.0).tolist() == [[0.5, -0.5]]


@pytest.mark.parametrize("with_weight", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
def test_weight_and_bias_may_be_left_out(with_weight, with_bias):
    """None stands for no gain and no shift, each on its own."""
    x, weight, bias = draw(1.0, 2.0)
    weight = weight if with_weight else None
    bias = bias if with_bias else None
    one = torch.ones(12, dtype=torch.float64) if weight is None else weight
    expected = torch.nn.functional.layer_norm(x, (12,), one, bias, 1e-5)
    assert (layer_norm(x, weight, bias, 1e-5) - expected).abs().max() <= 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mean", [0.0, 200.0])
def test_half_precision_is_normalised_in_float32(dtype, mean):
    """The result is the float64 one for the same numbers, rounded once: squares never pass through half precision."""
    x, weight, bias = (argument.to(dtype) for argument in draw(mean, 1.0))
    out = layer_norm(x, weight, bias, 1e-5)
    exact = torch.nn.functional.layer_norm(x.double(), (12,), weight.double(), bias.double(), 1e-5)
    assert out.dtype == dtype
    assert (out.double() - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max()


def test_large_half_precision_values_do_not_overflow():
    """300 squared is beyond float16, the norm of it is not."""
    x = torch.tensor([[300.0, -300.0, 300.0, -300.0]], dtype=torch.float16)
    assert layer_norm(x, None, None, 1e-5).tolist() == [[1.0, -1.0, 1.0, -1.0]]


def test_the_variance_is_the_line_that_mistakes_are_edits_of():
    """Known mistakes are written as edits of this line; it may not be reworded."""
    assert inspect.getsource(layer_norm).count("    variance = (centred ** 2).mean(-1, keepdim=True)\n") == 1
