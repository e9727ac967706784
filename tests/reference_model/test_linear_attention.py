"""reference_model/linear_attention.py against its definition, and against torch's elu."""

import torch
from torch.nn import functional

from reference_model import linear_attention


def draw(*shapes):
    source = torch.Generator().manual_seed(8)
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


def test_equals_its_definition():
    """Equation 7 of the paper, sum by sum."""
    q, k, v = draw((2, 5, 3), (2, 5, 3), (2, 5, 4))
    phi = lambda x: functional.elu(x) + 1  # noqa: E731
    out = linear_attention(q, k, v)
    for row in range(2):
        for t in range(5):
            weights = torch.stack([phi(q[row, t]) @ phi(k[row, s]) for s in range(t + 1)])
            expected = (weights[:, None] * v[row, : t + 1]).sum(0) / weights.sum()
            assert (out[row, t] - expected).abs().max() <= 1e-14


def test_gradients_are_those_of_the_parallel_form():
    """By autograd, for a random cotangent; 0 itself has the slope 1."""
    ours = [t.requires_grad_() for t in draw((2, 3, 6, 4), (2, 3, 6, 4), (2, 3, 6, 5))]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    with torch.no_grad():
        for tensors in (ours, theirs):
            tensors[0][0, 0, 0, 0] = 0.0
    out = linear_attention(*ours)
    q, k = (functional.elu(t) + 1 for t in theirs[:2])
    weights = (q @ k.mT).tril()
    expected = weights / weights.sum(-1, keepdim=True) @ theirs[2]
    (cotangent,) = draw(out.shape)
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-13
    assert all((a.grad - b.grad).abs().max() <= 1e-11 for a, b in zip(ours, theirs, strict=True))


def test_leading_axes_are_free():
    """Whatever stands before time is carried along."""
    q, k, v = draw((2, 3, 4, 2), (2, 3, 4, 2), (2, 3, 4, 5))
    alone = linear_attention(q[1, 2], k[1, 2], v[1, 2])
    assert (linear_attention(q, k, v)[1, 2] - alone).abs().max() <= 1e-15
