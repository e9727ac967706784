"""reference_model/rms_norm.py against torch and against Llama's norm in transformers."""

import pytest
import torch

from reference_model import layer_norm, rms_norm

FAMILIES = {"ordinary": (0.0, 1.0), "large offset": (1e4, 1.0), "tiny": (0.0, 1e-4), "constant rows": (3.0, 0.0)}


def draw(mean, spread, shape=(3, 5, 12)):
    """x and a weight that is neither 0 nor 1 on average."""
    source = torch.Generator().manual_seed(3)
    x = mean + spread * torch.randn(shape, dtype=torch.float64, generator=source)
    return x, 2 + torch.randn(shape[-1], dtype=torch.float64, generator=source)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("eps", [1e-6, 0.1])
def test_equals_torch(family, eps):
    """Values and both gradients are torch's, on easy and on hard rows."""
    arguments = draw(*FAMILIES[family])
    ours = [argument.clone().requires_grad_() for argument in arguments]
    theirs = [argument.clone().requires_grad_() for argument in arguments]
    out = rms_norm(*ours, eps)
    expected = torch.nn.functional.rms_norm(theirs[0], (12,), theirs[1], eps)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-13 * expected.abs().max()
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-10 * other.grad.abs().max().clamp(min=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_llama(dtype):
    """transformers' LlamaRMSNorm gives the same, in bfloat16 up to its second rounding."""
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    x, weight = (argument.to(dtype) for argument in draw(0.5, 2.0))
    norm = llama.LlamaRMSNorm(12, eps=1e-5)
    norm.weight.data = weight
    expected = norm(x)
    assert (rms_norm(x, weight, 1e-5) - expected).abs().max() <= 2 * torch.finfo(dtype).eps * expected.abs().max()


def test_the_mean_stays():
    """A constant row comes out as its sign times the weight, where layer_norm gives zeros."""
    x, weight = torch.full((2, 4), -3.0, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert (rms_norm(x, weight, 0.0) + weight).abs().max() <= 1e-15
    assert layer_norm(x, weight, None, 1e-5).abs().max() == 0


def test_eps_is_inside_the_root():
    """A row of mean square 1 under eps 3 is divided by 2."""
    x = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert rms_norm(x, torch.ones(2, dtype=torch.float64), 3.0).tolist() == [[0.5, -0.5]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [1.0, 300.0])
def test_half_precision_is_normalised_in_float32(dtype, size):
    """The result is the float64 one for the same numbers, rounded once; 300 squared is beyond float16, its norm is
    not."""
    x, weight = (argument.to(dtype) for argument in draw(0.0, size))
    out = rms_norm(x, weight, 1e-5)
    exact = torch.nn.functional.rms_norm(x.double(), (12,), weight.double(), 1e-5)
    assert out.dtype == dtype
    assert (out.double() - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max()


def test_refuses_widths_that_do_not_meet():
    """A weight of another width raises."""
    with pytest.raises(RuntimeError):
        rms_norm(torch.ones(2, 5), torch.ones(4), 1e-5)
