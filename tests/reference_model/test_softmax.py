"""reference_model/softmax.py against torch."""

import pytest
import torch

from reference_model import softmax


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_equals_torch_along_every_axis(dim):
    """Values and gradients are torch's along the axis asked for, in a tensor whose sizes all differ."""
    x = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 10
    cotangent = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = softmax(ours, dim), torch.softmax(theirs, dim)
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-15
    assert (ours.grad - theirs.grad).abs().max() <= 1e-15


def test_stays_finite_at_large_scores():
    """+-1e4 neither overflows nor divides by zero."""
    x = torch.tensor([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]])
    assert torch.equal(softmax(x, -1), torch.tensor([[0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]]))


def test_minus_infinity_weighs_nothing_and_a_row_of_it_is_nan():
    """As torch.softmax defines it, forbidden keys weigh exactly 0 and a row without keys is nan."""
    inf = float("inf")
    x = torch.tensor([[0.0, -inf], [-inf, -inf]])
    assert softmax(x, -1)[0].tolist() == [1.0, 0.0]
    assert softmax(x, -1)[1].isnan().all()
    assert torch.softmax(x, -1)[1].isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_keeps_half_precision(dtype):
    """A half-precision row sums to one within its rounding and stays in its dtype."""
    out = softmax(torch.linspace(-3, 3, 17).to(dtype), 0)
    assert out.dtype == dtype
    assert abs(out.double().sum().item() - 1) <= 17 * torch.finfo(dtype).eps
