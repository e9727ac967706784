"""reference_model/state_space.py against a convolution, a filter written out, and a diagonal recurrent network of
torch."""

import pytest
import torch
from torch.nn import functional

from reference_model import state_space


def draw(width=3, states=2, time=7):
    source = torch.Generator().manual_seed(10)
    shapes = ((2, time, width), (width, states), (width, states), (width, states))
    x, a, b, c = (torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes)
    return x, torch.tanh(a), b, c


def test_equals_torch_rnn_without_its_tanh():
    """nn.RNN with relu, on inputs and weights so positive that it is the identity; one channel."""
    x, a, b, c = (t.abs() for t in draw(width=1))
    rnn = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(b.T)
        rnn.weight_hh_l0.copy_(torch.diag(a[0]))
        expected = rnn(x)[0] @ c.T
    assert (state_space(x, a, b, c) - expected).abs().max() <= 1e-14


def test_equals_a_convolution():
    """Of every channel with its kernel."""
    x, a, b, c = draw()
    kernel = torch.stack([(b * c * a**j).sum(1) for j in range(7)], 1)
    padded = functional.pad(x.mT, (6, 0))
    expected = functional.conv1d(padded, kernel.flip(1).unsqueeze(1), groups=3).mT
    assert (state_space(x, a, b, c) - expected).abs().max() <= 1e-13


def test_one_state_by_hand():
    """a = 1/2, b = 2, c = 3: an impulse gives 6, 3, 1.5."""
    x = torch.tensor([[[1.0], [0.0], [0.0]]], dtype=torch.float64)
    weights = (torch.tensor([[value]], dtype=torch.float64) for value in (0.5, 2.0, 3.0))
    assert state_space(x, *weights).flatten().tolist() == [6.0, 3.0, 1.5]


def test_refuses_another_width():
    """From torch."""
    x, a, b, c = draw()
    with pytest.raises(RuntimeError):
        state_space(x[..., :2], a, b, c)
