"""reference_model/checkpoint.py: a run of torch's own parts goes on to the last bit."""

import pytest
import torch
from torch import nn

from reference_model import checkpoint


def begin(seed=0, width=3):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(width, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10), generator


def train(run, steps):
    model, optimizer, scheduler, generator = run
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 3, generator=generator)).square().sum().backward()
        optimizer.step()
        scheduler.step()
    return [p.detach().clone() for p in model.parameters()]


def test_goes_on_to_the_last_bit(tmp_path):
    """Ten steps, or four, a file, another process's objects, and six."""
    whole = train(begin(), 10)
    first = begin()
    train(first, 4)
    checkpoint().save(tmp_path / "run.pt", *first, step=4)
    second = begin(seed=5)
    assert checkpoint().load(tmp_path / "run.pt", *second) == 4
    assert all(torch.equal(a, b) for a, b in zip(train(second, 6), whole, strict=True))


def test_names_what_does_not_fit(tmp_path):
    checkpoint().save(tmp_path / "run.pt", *begin()[:2])
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        checkpoint().load(tmp_path / "run.pt", *begin(width=4)[:2])
    with pytest.raises(KeyError, match="scheduler"):
        checkpoint().load(tmp_path / "run.pt", *begin()[:3])
