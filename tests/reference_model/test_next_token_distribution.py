"""reference_model/next_token_distribution.py against transformers' logits processors, and by hand."""

import itertools

import pytest
import torch

from reference_model import next_token_distribution

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    list(itertools.product((1.0, 0.6, 2.0), (None, 1, 5, 30), (None, 0.01, 0.4, 0.9, 1.0))),
)
def test_equals_transformers(temperature, top_k, top_p):
    """Its warpers, in its order."""
    logits = 2 * torch.randn(4, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    scores = transformers.TemperatureLogitsWarper(temperature)(None, logits)
    if top_k is not None:
        scores = transformers.TopKLogitsWarper(top_k)(None, scores)
    if top_p is not None:
        scores = transformers.TopPLogitsWarper(top_p)(None, scores)
    ours = next_token_distribution(logits, temperature, top_k, top_p)
    torch.testing.assert_close(ours, scores.softmax(-1))


def test_golden_values():
    """One half, one quarter, one eighth twice."""
    logits = torch.tensor([[0.125, 0.5, 0.125, 0.25]]).log()
    assert next_token_distribution(logits, top_p=0.6)[0].tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3])
    assert next_token_distribution(logits, top_k=2)[0].tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3])
    assert next_token_distribution(logits, top_k=3)[0].tolist() == pytest.approx([1 / 8, 1 / 2, 1 / 8, 1 / 4])  # a tie
    assert next_token_distribution(logits, temperature=0.5)[0].tolist() == pytest.approx(
        [1 / 22, 16 / 22, 1 / 22, 4 / 22]
    )
    assert next_token_distribution(logits, temperature=0.0).tolist() == [[0, 1, 0, 0]]


def test_leading_axes_are_free():
    """One row, or batches of batches."""
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1))
    whole = next_token_distribution(logits, 0.8, 4, 0.7)
    torch.testing.assert_close(next_token_distribution(logits[1, 2], 0.8, 4, 0.7), whole[1, 2])


@pytest.mark.parametrize("arguments", [(-1.0,), (float("nan"),), (1.0, 0), (1.0, None, 0.0), (1.0, None, 1.5)])
def test_refuses(arguments):
    """What cannot be meant."""
    with pytest.raises(ValueError, match="must be"):
        next_token_distribution(torch.zeros(1, 3), *arguments)
