"""reference_model/alibi.py against Bloom in transformers and x-transformers, and against the numbers of the paper."""

import pytest
import torch

from reference_model import alibi


def seen(bias):
    """What a causal softmax sees of a bias: differences to the query's own position."""
    heads, time = bias.shape[0], bias.shape[-1]
    bias = bias.expand(heads, time, time)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    return (bias - bias.diagonal(dim1=1, dim2=2).unsqueeze(-1)).masked_fill(future, 0.0)


def test_golden_slopes():
    """Eight heads: 1/2, 1/4, ..., 1/256. Twelve: those, and four between them."""
    assert (-alibi(8, 2)[:, 1, 0]).tolist() == [2.0**-n for n in range(1, 9)]
    assert (-alibi(12, 2)[:8, 1, 0]).tolist() == [2.0**-n for n in range(1, 9)]
    assert (-alibi(12, 2)[8:, 1, 0]).tolist() == pytest.approx([2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5], rel=1e-7)


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12, 20])
def test_equals_bloom(heads):
    """Bloom adds slope times the place of the key."""
    bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom")
    theirs = bloom.build_alibi_tensor(torch.ones(1, 7), heads, torch.float32)
    assert (seen(alibi(heads, 7)) - seen(theirs)).abs().max() <= 1e-5


@pytest.mark.parametrize("heads", [1, 3, 8, 12])
def test_equals_x_transformers(heads):
    """Lengths in any order, for a bias is kept there."""
    library = pytest.importorskip("x_transformers.x_transformers")
    module = library.AlibiPositionalBias(heads)
    for time in (8, 4, 16, 4):
        assert (seen(alibi(heads, time)) - seen(module(time, time).detach())).abs().max() <= 1e-5


def test_refuses_no_heads():
    """There is nothing to take a logarithm of."""
    with pytest.raises(ValueError, match="at least one head, not for 0"):
        alibi(0, 3)
