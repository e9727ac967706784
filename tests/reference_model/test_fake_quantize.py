"""reference_model/fake_quantize.py against torch's kernel, torch.ao's module and closed forms."""

import pytest
import torch

from reference_model import fake_quantize


def draw(*shape, seed=15):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loaded(low, high, bits=8, symmetric=False):
    layer = fake_quantize(bits, 0.1, symmetric)
    layer.load(low, high)
    layer.eval()
    return layer


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (0.0, 1.3), (-3.0, -0.5), (0.2, 0.9)])
def test_equals_the_kernel_of_torch(bits, low, high):
    """Numbers and gradients, for the scale and zero point that the range gives."""
    x, lowest, highest = draw(40, 5).float() * 2, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    wide_low, wide_high = min(low, 0.0), max(high, 0.0)
    scale = (wide_high - wide_low) / (highest - lowest)
    theirs, ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected = torch.fake_quantize_per_tensor_affine(theirs, scale, round(lowest - wide_low / scale), lowest, highest)
    out = loaded(low, high, bits).forward(ours)
    expected.backward(torch.ones_like(x))
    out.backward(torch.ones_like(x))
    assert torch.allclose(out, expected, atol=1e-6)
    assert torch.equal(ours.grad, theirs.grad)


def test_the_range_equals_torch_ao():
    """MovingAverageMinMaxObserver over five batches."""
    quantization = pytest.importorskip("torch.ao.quantization")
    observer = quantization.MovingAverageMinMaxObserver(averaging_constant=0.2)
    layer = fake_quantize(8, 0.2)
    for seed in range(5):
        batch = draw(6, 4, seed=seed).float() + seed
        observer(batch)
        layer.forward(batch)
        assert torch.allclose(layer.range(), torch.stack([observer.min_val, observer.max_val]))


def test_gradient_table():
    """Inside 1, outside 0."""
    x = torch.tensor([-1.5, -0.9, 0.0, 0.3, 1.9, 2.2], dtype=torch.float64, requires_grad=True)
    loaded(-1.0, 2.0).forward(x).backward(torch.full((6,), 3.0, dtype=torch.float64))
    assert x.grad.tolist() == [0.0, 3.0, 3.0, 3.0, 3.0, 0.0]


def test_symmetric_codes_by_hand():
    """-7 .. 7 at four bits; the lower of two ends counts by its size."""
    x = torch.tensor([-20.0, -7.0, -3.4, 0.0, 3.4, 6.6, 20.0], dtype=torch.float64)
    assert loaded(-7.0, 2.0, 4, symmetric=True).forward(x).tolist() == [-7, -7, -3, 0, 3, 7, 7]


def test_the_range_stands_still_in_evaluation_and_moves_again_after():
    """And what is loaded is where it goes on."""
    layer = fake_quantize(8, 0.5)
    layer.forward(torch.tensor([-1.0, 3.0]))
    layer.eval()
    layer.forward(torch.tensor([-100.0, 100.0]))
    assert layer.range().tolist() == [-1.0, 3.0]
    layer.train()
    layer.forward(torch.tensor([-3.0, 1.0]))
    assert layer.range().tolist() == [-2.0, 2.0]
    layer.load(-4.0, 0.0)
    layer.forward(torch.tensor([0.0, 2.0]))
    assert layer.range().tolist() == [-2.0, 1.0]


def test_zeros_give_zeros():
    """No division by a range of no width."""
    assert fake_quantize().forward(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert fake_quantize(symmetric=True).forward(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fake_quantize(1), "bits must be at least 2, not 1"),
        (lambda: fake_quantize(8, 0.0), r"momentum must be in \(0, 1\], not 0.0"),
        (lambda: fake_quantize().load(2.0, 1.0), "low must not be above high: 2.0, 1.0"),
        (lambda: fake_quantize().range(), "no range has been observed or loaded"),
    ],
)
def test_refuses_what_it_cannot_use(make, message):
    """By name."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_range_is_needed_first():
    """In evaluation nothing is observed."""
    layer = fake_quantize()
    layer.eval()
    with pytest.raises(ValueError, match="there is no range yet"):
        layer.forward(torch.ones(2))
