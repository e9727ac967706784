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


@pytest.mark.parametrize("min_p", [0.01, 0.2, 1.0])
@pytest.mark.parametrize("penalty", [1.0, 1.3, 0.7])
def test_min_p_and_the_repetition_penalty_equal_transformers(min_p, penalty):
    """The processor first, then the warpers, in transformers' order."""
    logits = 2 * torch.randn(4, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    previous = torch.randint(0, 20, (4, 15), generator=torch.Generator().manual_seed(6))
    scores = transformers.RepetitionPenaltyLogitsProcessor(penalty)(previous, logits)
    scores = transformers.TemperatureLogitsWarper(0.7)(previous, scores)
    scores = transformers.TopKLogitsWarper(12)(previous, scores)
    scores = transformers.TopPLogitsWarper(0.95)(previous, scores)
    scores = transformers.MinPLogitsWarper(min_p)(previous, scores)
    ours = next_token_distribution(logits, 0.7, 12, 0.95, min_p, previous, penalty)
    torch.testing.assert_close(ours, scores.softmax(-1))


def test_golden_penalties():
    """Id 0 stands twice in the row, id 1 once, id 2 never."""
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    previous = torch.tensor([[0, 1, 0]])
    divided = next_token_distribution(logits, previous=previous, repetition_penalty=2.0)
    torch.testing.assert_close(divided, torch.tensor([[1.0, -4.0, 1.0]]).softmax(-1))
    lowered = next_token_distribution(logits, previous=previous, presence_penalty=0.5, frequency_penalty=0.25)
    torch.testing.assert_close(lowered, torch.tensor([[1.0, -2.75, 1.0]]).softmax(-1))


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


@pytest.mark.parametrize(
    "arguments",
    [
        *[(-1.0,), (float("nan"),), (1.0, 0), (1.0, None, 0.0), (1.0, None, 1.5), (1.0, None, None, -0.1)],
        *[(1.0, None, None, 1.1), (1.0, None, None, None, None, 0.0)],
    ],
)
def test_refuses(arguments):
    """What cannot be meant."""
    with pytest.raises(ValueError, match="must be"):
        next_token_distribution(torch.zeros(1, 3), *arguments)
