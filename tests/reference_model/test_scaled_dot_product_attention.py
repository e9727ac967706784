"""reference_model/scaled_dot_product_attention.py against torch's function of this name, and against our attention."""

import pytest
import torch

from reference_model import attention, scaled_dot_product_attention

SHAPES = [(), (3,), (2, 4), (2, 1, 3)]


def draw(leading, queries=5, keys=7, size=3, value_size=6):
    """q, k, v and a mask that leaves every query at least one key."""
    source = torch.Generator().manual_seed(7)
    shapes = ((*leading, queries, size), (*leading, keys, size), (*leading, keys, value_size))
    q, k, v = (torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes)
    mask = torch.rand((*leading, queries, keys), generator=source) < 0.5
    mask[..., 2] = True
    return q, k, v, mask


@pytest.mark.parametrize("leading", SHAPES)
@pytest.mark.parametrize("masked", ["none", "own", "shared"])
def test_equals_torch(leading, masked):
    """Values and gradients are torch's for any leading axes, with a mask of its own per row, one for all, or none."""
    *arguments, mask = draw(leading)
    mask = {"none": None, "own": mask, "shared": mask.reshape(-1, 5, 7)[0]}[masked]
    ours = [argument.clone().requires_grad_() for argument in arguments]
    theirs = [argument.clone().requires_grad_() for argument in arguments]
    out = scaled_dot_product_attention(*ours, mask)
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, attn_mask=mask)
    cotangent = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (out * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    assert (out - expected).abs().max() <= 1e-14
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-13


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_gives_no_gradient():
    """As torch does since 2.5; the other queries and every gradient stay finite."""
    q, k, v, mask = draw((2,))
    mask[:, 1] = False
    q, k, v = (argument.requires_grad_() for argument in (q, k, v))
    out = scaled_dot_product_attention(q, k, v, mask)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert (out[:, 1] == 0).all() and (expected[:, 1] == 0).all()
    assert (out - expected).abs().max() <= 1e-14
    out.sum().backward()
    assert (q.grad[:, 1] == 0).all()
    assert all(torch.isfinite(argument.grad).all() for argument in (q, k, v))


def test_a_causal_mask_makes_it_the_attention_of_gpt2():
    """With one head, identity projections and the lower triangle it is `attention`."""
    x = torch.randn(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    eye = torch.eye(4, dtype=torch.float64)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    out = scaled_dot_product_attention(x, x, x, causal)
    assert (out - attention(x, torch.cat([eye] * 3), None, eye, None, 1)).abs().max() <= 1e-14


def test_large_logits_stay_finite_and_do_not_leak():
    """A hidden key that every query would love is not seen."""
    q = torch.full((1, 2, 2), 300.0)
    k = torch.stack([-q[0, 0], q[0, 0]])[None]
    v = torch.tensor([[[1.0], [100.0]]])
    mask = torch.tensor([[True, False], [True, True]])
    assert scaled_dot_product_attention(q, k, v, mask).flatten().tolist() == [1.0, 100.0]


def test_refuses_sizes_that_do_not_meet():
    """Keys of another size than the queries raise."""
    with pytest.raises(RuntimeError):
        scaled_dot_product_attention(torch.ones(2, 3), torch.ones(2, 4), torch.ones(2, 4))
