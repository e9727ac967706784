"""reference_model/gelu.py against torch."""

import pytest
import torch

from reference_model import gelu


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 2e-6)])
def test_equals_torch_tanh_form(dtype, bound):
    """Over -12..12 it is torch's gelu with approximate="tanh", up to rounding."""
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64).to(dtype)
    expected = torch.nn.functional.gelu(x, approximate="tanh")
    assert (gelu(x) - expected).abs().max() <= bound


def test_is_not_the_erf_form():
    """The largest distance from the erf form is the published 4.7e-4."""
    x = torch.linspace(-6, 6, 10001, dtype=torch.float64)
    distance = (gelu(x) - torch.nn.functional.gelu(x)).abs().max().item()
    assert 4.6e-4 < distance < 4.8e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_slopes_of_large_numbers_are_finite_in_16_bits(dtype):
    """0 and 1, where the square in the derivative of a plain cube overflows: 0 times infinity is NaN."""
    x = torch.tensor([-5e4, -300.0, -41.0, 41.0, 300.0, 5e4], dtype=dtype, requires_grad=True)
    gelu(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_has_the_right_tails(dtype):
    """At +-1e4 the value is x and 0 exactly, in every dtype, float16's overflowing cube included."""
    x = torch.tensor([1e4, -1e4, 0.0], dtype=dtype)
    out = gelu(x)
    assert out.dtype == dtype
    assert out.tolist() == [x[0].item(), 0.0, 0.0]


def test_gradient_equals_torch():
    """The vector-Jacobian product is torch's, far tails included."""
    x = torch.cat([torch.linspace(-8, 8, 999, dtype=torch.float64), torch.tensor([1e4, -1e4], dtype=torch.float64)])
    cotangent = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    (gelu(ours) * cotangent).sum().backward()
    (torch.nn.functional.gelu(theirs, approximate="tanh") * cotangent).sum().backward()
    assert (ours.grad - theirs.grad).abs().max() <= 1e-13
