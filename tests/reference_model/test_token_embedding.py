"""reference_model/token_embedding.py against torch."""

import pytest
import torch

from reference_model import token_embedding

TABLE = torch.randn(11, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3, 5), (5,), (2, 3, 4), ()])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_equals_torch_for_any_leading_axes(shape, dtype):
    """Rows of the table, for every integer dtype; uint8 is an id, not a mask."""
    ids = torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert torch.equal(token_embedding(ids, TABLE), torch.nn.functional.embedding(ids.long(), TABLE))


def test_gradient_accumulates_over_repeated_ids():
    """A row's gradient is the sum over its places, and 0 where the id does not occur."""
    ids = torch.tensor([[0, 3, 3], [3, 10, 0]])
    ours, theirs = TABLE.clone().requires_grad_(), TABLE.clone().requires_grad_()
    cotangent = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (token_embedding(ids, ours) * cotangent).sum().backward()
    (torch.nn.functional.embedding(ids, theirs) * cotangent).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-15, atol=0)
    assert ours.grad[1].abs().max() == 0


@pytest.mark.parametrize("bad", [-1, 11, 50257])
def test_names_the_id_that_is_not_there(bad):
    """Neither a negative id nor one past the end is wrapped."""
    with pytest.raises(IndexError, match=rf"token id {bad} at ids\[1, 0\] is outside 0\.\.10"):
        token_embedding(torch.tensor([[0, 1], [bad, 2]]), TABLE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_refuses_ids_that_are_not_integers(dtype):
    """A float id or a mask is a mistake of the caller."""
    with pytest.raises(TypeError, match="token ids must be integers"):
        token_embedding(torch.zeros(3, dtype=dtype), TABLE)
