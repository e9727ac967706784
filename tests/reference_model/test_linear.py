"""reference_model/linear.py against torch."""

import pytest
import torch

from reference_model import linear


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_torch_for_any_leading_axes(leading, with_bias):
    """x weight^T + bias, whatever stands before the last axis."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(*leading, 5, dtype=torch.float64, generator=draw)
    weight = torch.randn(7, 5, dtype=torch.float64, generator=draw)
    bias = torch.randn(7, dtype=torch.float64, generator=draw) if with_bias else None
    out = linear(x, weight, bias)
    assert out.shape == (*leading, 7)
    assert (out - torch.nn.functional.linear(x, weight, bias)).abs().max() <= 1e-14


def test_refuses_widths_that_do_not_meet():
    """A weight that lies the other way round raises."""
    with pytest.raises(RuntimeError):
        linear(torch.ones(2, 5), torch.ones(5, 7), None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keeps_the_dtype(dtype):
    """The result has the dtype of the arguments."""
    assert linear(torch.ones(2, 5, dtype=dtype), torch.ones(7, 5, dtype=dtype), None).dtype == dtype
