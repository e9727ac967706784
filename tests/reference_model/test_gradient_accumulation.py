"""reference_model/gradient_accumulation.py against torch's own loss on all rows at once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from reference_model import gradient_accumulation

SOURCE = torch.Generator().manual_seed(0)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7)).double()


def micro_batches():
    batches = [tuple(torch.randint(0, 7, (rows, 3), generator=SOURCE) for _ in range(2)) for rows in (2, 1, 4)]
    batches[2][1][1:, 1:] = -100
    return batches


def test_equals_one_big_batch():
    """Gradients and loss of the concatenated rows."""
    batches, whole, parts = micro_batches(), model(), model()
    loss, gradients = gradient_accumulation(parts, batches)
    ids, targets = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    expected = functional.cross_entropy(whole(ids).flatten(0, 1), targets.flatten())
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    for name, parameter in whole.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)
    torch.testing.assert_close(dict(parts.named_parameters())["1.weight"].grad, gradients["1.weight"])


def test_clears_what_was_left():
    batches, fresh, used = micro_batches(), model(), model()
    used(batches[0][0]).sum().backward()
    assert torch.equal(
        gradient_accumulation(fresh, batches)[1]["1.bias"], gradient_accumulation(used, batches)[1]["1.bias"]
    )


def test_nothing_that_counts_is_zero():
    """Where torch gives nan."""
    ids = torch.zeros(1, 2, dtype=torch.int64)
    loss, gradients = gradient_accumulation(model(), [(ids, ids - 100)])
    assert loss.item() == 0 and not gradients["1.weight"].any()


def test_refuses_no_micro_batches():
    with pytest.raises(ValueError, match="no micro-batches"):
        gradient_accumulation(model(), [])
