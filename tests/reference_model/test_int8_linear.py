"""reference_model/int8_linear.py against integers, bitsandbytes and the product in floating point."""

import math

import pytest
import torch

from reference_model import int8_linear, linear
from reference_model.int8_linear import row_codes


def draw(*shape, seed=15, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_codes_by_hand():
    """127 steps to the largest of a row; zeros have scale 1."""
    codes, scale = row_codes(torch.tensor([[127.0, -63.4, 0.6], [0.0, 0.0, 0.0], [2.54, -2.54, 0.02]]))
    assert codes.tolist() == [[127, -63, 1], [0, 0, 0], [127, -127, 1]]
    assert torch.allclose(scale, torch.tensor([[1.0], [1.0], [0.02]]))


def test_the_product_is_one_of_integers():
    """The whole computation by hand, for numbers that lie on no codes."""
    x, weight, bias = draw(4, 7), draw(5, 7, seed=16), draw(5, seed=17)
    x_step, weight_step = (m.abs().amax(1, keepdim=True) / 127 for m in (x, weight))
    product = (x / x_step).round().long() @ (weight / weight_step).round().long().T
    out = int8_linear(weight, bias, math.inf).forward(x)
    assert torch.allclose(out, product * x_step * weight_step.T + bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threshold", [6.0, math.inf])
def test_error_is_what_rounding_explains(threshold):
    """Half a step of either, summed over the inputs, at most."""
    x, weight = draw(6, 40), draw(5, 40, seed=16)
    x[2, 3], x[4, 9] = 30.0, -11.0
    out = int8_linear(weight, None, threshold).forward(x)
    largest = x if math.isinf(threshold) else x.masked_fill(x.abs().amax(0) >= threshold, 0.0)
    bound = (largest.abs().amax(1, keepdim=True) / 254) * weight.abs().sum(1) + x.abs().sum(1, keepdim=True) * (
        weight.abs().amax(1) / 254
    )
    assert ((out - x @ weight.T).abs() <= bound * 1.01).all()


def test_outliers_taken_apart_lose_less():
    """What section 3 of the paper is about: with them in the codes, everything else loses its digits."""
    x, weight = draw(6, 40), int8_linear(draw(5, 40, seed=16)).dequantized(torch.float64)
    x[:, 7] = 80.0
    exact = x @ weight.T
    errors = [float((int8_linear(weight, None, t).forward(x) - exact).pow(2).mean().sqrt()) for t in (6.0, math.inf)]
    assert errors[0] < 0.25 * errors[1]


def test_threshold_zero_is_the_dequantized_weight_alone():
    """And the gradient of x is always that of it."""
    x, weight, bias = draw(2, 3, 7).requires_grad_(), draw(5, 7, seed=16), draw(5, seed=17)
    layer = int8_linear(weight, bias, 0.0)
    dequantized = layer.dequantized(torch.float64)
    assert torch.allclose(layer.forward(x), linear(x, dequantized, bias), rtol=1e-12, atol=1e-12)
    for threshold in (0.0, 1.5, 6.0, math.inf):
        out = int8_linear(weight, bias, threshold).forward(x)
        (gradient,) = torch.autograd.grad(out, x, draw(2, 3, 5, seed=18))
        assert torch.allclose(gradient, draw(2, 3, 5, seed=18) @ dequantized, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threshold", [6.0, math.inf])
def test_equals_bitsandbytes_within_float16(threshold):
    """Linear8bitLt computes in float16 inside; 0 is its infinity. One code of x may differ, at a tie."""
    nn = pytest.importorskip("bitsandbytes.nn")
    x, weight, bias = (
        draw(6, 40, dtype=torch.float32),
        draw(5, 40, seed=16, dtype=torch.float32),
        draw(5, seed=17).float(),
    )
    x[2, 3], x[4, 9] = 30.0, -11.0
    theirs = nn.Linear8bitLt(40, 5, has_fp16_weights=False, threshold=0.0 if math.isinf(threshold) else threshold)
    theirs.load_state_dict({"weight": weight, "bias": bias})
    with torch.no_grad():
        expected = theirs.to("cpu")(x)
    out = int8_linear(weight, bias, threshold).forward(x)
    one_code = (
        (x.abs().amax(1) / 127).max() * weight.abs().max() if math.isinf(threshold) else 3.0 / 127 * weight.abs().max()
    )
    assert (out - expected).abs().max() <= one_code + 2e-3 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_precisions(dtype):
    """The result is in x's dtype; a zero row gives the bias."""
    x, weight, bias = draw(2, 3, 7).to(dtype), draw(5, 7, seed=16).to(dtype), draw(5, seed=17).to(dtype)
    x[0, 1] = 0.0
    out = int8_linear(weight, bias).forward(x)
    assert out.dtype == dtype
    assert torch.equal(out[0, 1], bias)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: int8_linear(torch.ones(3)), r"weight must be \[out, in\], not \[3\]"),
        (lambda: int8_linear(torch.ones(3, 2), None, -1.0), "threshold must be at least 0, not -1.0"),
        (lambda: int8_linear(torch.ones(3, 2), None, math.nan), "threshold must be at least 0, not nan"),
        (lambda: int8_linear(torch.ones(3, 2)).forward(torch.ones(4, 3)), "x is 3 wide, the weight 2"),
    ],
)
def test_refuses_what_it_cannot_use(make, message):
    """By name."""
    with pytest.raises(ValueError, match=message):
        make()
