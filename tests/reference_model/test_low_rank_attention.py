"""reference_model/low_rank_attention.py against full attention, torch's kernel, and its rank."""

import pytest
import torch
from torch.nn import functional

from reference_model import low_rank_attention


def draw(rank=3, time=6):
    source = torch.Generator().manual_seed(9)
    shapes = ((2, 2, time, 4), (2, 2, time, 4), (2, 2, time, 5), (rank, time), (rank, time))
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


def test_the_identity_is_full_attention():
    """R = T."""
    q, k, v, *_ = draw()
    identity = torch.eye(6, dtype=torch.float64)
    expected = functional.scaled_dot_product_attention(q, k, v)
    assert (low_rank_attention(q, k, v, identity, identity) - expected).abs().max() <= 1e-14


def test_equals_attention_to_projected_keys():
    """torch's kernel, the projections done by nn.Linear's function over time."""
    q, k, v, e, f = draw()
    keys, values = functional.linear(k.mT, e).mT, functional.linear(v.mT, f).mT
    expected = functional.scaled_dot_product_attention(q, keys, values)
    assert (low_rank_attention(q, k, v, e, f) - expected).abs().max() <= 1e-14


def test_mixes_positions_by_a_matrix_of_that_rank():
    """Shown by values that are the identity."""
    q, k, _, e, f = draw()
    mixing = low_rank_attention(q, k, torch.eye(6, dtype=torch.float64).expand(2, 2, 6, 6), e, f)
    assert int(torch.linalg.matrix_rank(mixing).max()) == 3


def test_refuses_projections_for_another_length():
    """From torch."""
    q, k, v, e, f = draw()
    with pytest.raises(RuntimeError):
        low_rank_attention(q, k[..., :5, :], v, e, f)
