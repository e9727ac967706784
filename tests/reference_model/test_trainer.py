"""reference_model/trainer.py: a small run, and the forward pass that it trains."""

from types import SimpleNamespace

import pytest
import torch

from reference_model import Config, gpt2, initialise, trainer
from reference_model.trainer import logits_of, named, windows

CONFIG = SimpleNamespace(
    vocab_size=7, context=4, width=8, heads=2, layers=1, batch_size=2, steps=40, lr=0.02, dropout=0.0, eval_interval=8
)


def test_its_model_is_gpt2():
    """Without dropout, the logits of the whole model."""
    weights = initialise(Config(7, 4, 8, 2, 1), torch.Generator().manual_seed(0))
    ids = torch.randint(0, 7, (2, 4), generator=torch.Generator().manual_seed(1))
    expected = gpt2(ids, weights, Config(7, 4, 8, 2, 1))
    torch.testing.assert_close(logits_of(ids, weights, CONFIG, 0.0, torch.Generator()), expected)


def test_learns_what_repeats():
    """0 1 2 ... 6 0 1 ...: the next token follows from the last; every parameter moves."""
    history = trainer(CONFIG, torch.arange(40) % 7, 3)
    assert history["loss"][-1] < 0.5 < 1.8 < history["loss"][0] and len(history["evaluation"]) == 5
    assert all(not torch.equal(history["start"][name], history["end"][name]) for name in history["start"])


def test_windows_are_shifted_by_one():
    ids, targets = windows(torch.arange(10, 20), torch.tensor([0, 5]), 4)
    assert ids.tolist() == [[10, 11, 12, 13], [15, 16, 17, 18]] and torch.equal(targets, ids + 1)


def test_every_tensor_has_a_name():
    assert len(named(initialise(Config(7, 4, 8, 2, 3)))) == 4 + 3 * 12


def test_refuses_data_without_a_window():
    with pytest.raises(ValueError, match="4 tokens hold no window of 4"):
        trainer(CONFIG, torch.arange(4), 0)
