"""reference_model/sft_labels.py by hand."""

import pytest
import torch

from reference_model import lm_loss, sft_labels


def test_golden_values():
    """Prompt 5 6 7, answer 8 9, end 2: the label of the prompt's last token is the answer's first."""
    assert sft_labels([5, 6, 7, 8, 9, 2], 3) == ([5, 6, 7, 8, 9], [-100, -100, 8, 9, 2])
    assert sft_labels([5, 8, 2], 1, -1) == ([5, 8], [8, 2])
    assert sft_labels([5, 6, 8, 2, 0, 0], 2, pad_id=0) == ([5, 6, 8, 2, 0], [-100, 8, 2, -100, -100])


def test_the_loss_counts_the_answer_alone():
    """With these labels it is the mean over the answer's positions."""
    inputs, labels = sft_labels([1, 3, 0, 2, 2], 3)
    logits = torch.randn(1, len(inputs), 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(logits[0, 2:], torch.tensor([2, 2]))
    torch.testing.assert_close(lm_loss(logits, torch.tensor([labels])), expected)


@pytest.mark.parametrize("length", [0, 3])
def test_refuses_a_prompt_without_room(length):
    """No token before the answer, or no answer."""
    with pytest.raises(ValueError, match="prompt"):
        sft_labels([1, 2, 3], length)
