"""Central differences: quiet on correct gradients, loud on wrong ones, whatever the scale."""

import pytest
import torch

from harness.numerics.gradients import directional_discrepancy


def setting(scale: float):
    generator = torch.Generator().manual_seed(5)
    x = scale * torch.randn(3, 4, generator=generator, dtype=torch.float64)
    w = torch.randn(4, generator=generator, dtype=torch.float64)

    def function(arguments):
        return float((torch.tanh(arguments["x"] / scale) * arguments["w"]).sum())

    x.requires_grad_()
    w.requires_grad_()
    (torch.tanh(x / scale) * w).sum().backward()
    return function, {"x": x.detach(), "w": w.detach()}, {"x": x.grad, "w": w.grad}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_right_gradients_are_quiet(scale: float) -> None:
    """Three orders of magnitude of inputs either way."""
    function, arguments, gradients = setting(scale)
    assert directional_discrepancy(function, arguments, gradients, 1).ratio < 0.5


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_one_wrong_element_is_loud_and_located(scale: float) -> None:
    """A single gradient element off by 1e-4 of itself is seen, and only its argument is guilty."""
    function, arguments, gradients = setting(scale)
    wrong = gradients["x"].clone()
    wrong[1, 2] *= 1 + 1e-4
    gradients = {**gradients, "x": wrong}
    assert directional_discrepancy(function, arguments, gradients, 1).ratio > 1
    assert directional_discrepancy(function, arguments, gradients, 1, only=("x",)).ratio > 1
    assert directional_discrepancy(function, arguments, gradients, 1, only=("w",)).ratio < 0.5
