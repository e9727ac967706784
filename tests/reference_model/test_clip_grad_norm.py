"""reference_model/clip_grad_norm.py against torch.nn.utils.clip_grad_norm_."""

import math

import pytest
import torch

from reference_model import clip_grad_norm


def parameters(dtype=torch.float64):
    """Three parameters of different shapes with gradients."""
    source = torch.Generator().manual_seed(3)
    found = [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in ((3, 4), (5,), ())]
    for parameter in found:
        parameter.grad = 4 * torch.randn(parameter.shape, dtype=dtype, generator=source)
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 5.0, 1e3, math.inf, 0.0])
def test_equals_torch(max_norm, dtype):
    """Gradients and norm are torch's, above the limit and below."""
    theirs = parameters(dtype)
    clipped, norm = clip_grad_norm((p.grad for p in parameters(dtype)), max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    torch.testing.assert_close(norm, expected)
    for ours, parameter in zip(clipped, theirs, strict=True):
        torch.testing.assert_close(ours, parameter.grad)


def test_golden_value():
    """3 and 4 make 5; a limit of 1 leaves a fifth."""
    clipped, norm = clip_grad_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])], 1.0)
    assert norm.item() == 5
    assert clipped[0].item() == pytest.approx(0.6) and clipped[1] is None and clipped[2].item() == pytest.approx(0.8)


def test_below_the_limit_to_the_last_bit():
    """A share of exactly 1."""
    grads = [p.grad for p in parameters()]
    clipped, _ = clip_grad_norm(grads, 1e3)
    assert all(torch.equal(a, b) for a, b in zip(clipped, grads, strict=True))


@pytest.mark.parametrize("strange", [math.nan, math.inf])
def test_not_finite_as_torch_has_it(strange):
    """The norm is not finite, and what is left of the gradients is what torch leaves."""
    theirs = parameters()
    theirs[1].grad[2] = strange
    clipped, norm = clip_grad_norm([p.grad.clone() for p in theirs], 1.0)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    assert torch.equal(norm.isnan(), expected.isnan()) and not norm.isfinite()
    for ours, parameter in zip(clipped, theirs, strict=True):
        torch.testing.assert_close(ours, parameter.grad, equal_nan=True)


def test_nothing_has_norm_zero():
    """No gradients, and zeros."""
    assert clip_grad_norm([], 1.0) == ([], torch.tensor(0.0))
    (clipped,), norm = clip_grad_norm([torch.zeros(3)], 1.0)
    assert norm.item() == 0 and torch.equal(clipped, torch.zeros(3))
