"""reference_model/sliding_window_attention.py against attention, brute force, and the mask of transformers."""

import pytest
import torch
from torch.nn import functional

from reference_model import attention, sliding_window_attention


def draw(width=6, time=7):
    """x and the weights."""
    source = torch.Generator().manual_seed(6)
    shapes = ((2, time, width), (3 * width, width), (3 * width,), (width, width), (width,))
    return [torch.randn(shape, dtype=torch.float64, generator=source) for shape in shapes]


@pytest.mark.parametrize("window", [1, 2, 3, 6, 7, 30])
def test_every_position_is_that_of_its_window_alone(window):
    """Attention over the window, its last position."""
    x, *weights = draw()
    out = sliding_window_attention(x, *weights, 3, window)
    for t in range(7):
        alone = attention(x[:, max(0, t + 1 - window) : t + 1], *weights, 3)[:, -1]
        assert (out[:, t] - alone).abs().max() <= 1e-13


@pytest.mark.parametrize("window", [1, 3, 7])
def test_equals_the_mask_of_transformers(window):
    """The window as Mistral has it, `sliding_window_overlay`, in torch's kernel."""
    masking = pytest.importorskip("transformers.masking_utils")
    sees = masking.sliding_window_causal_mask_function(window)
    mask = torch.tensor([[bool(sees(0, 0, torch.tensor(q), torch.tensor(k))) for k in range(7)] for q in range(7)])
    x, *weights = draw()
    heads = functional.linear(x, *weights[:2]).unflatten(-1, (3, 3, -1)).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(*heads, attn_mask=mask)
    expected = functional.linear(mixed.transpose(1, 2).flatten(2), *weights[2:])
    assert (sliding_window_attention(x, *weights, 3, window) - expected).abs().max() <= 1e-13


def test_refuses_what_cannot_be_meant():
    """A window that holds nothing, and heads that do not divide."""
    with pytest.raises(ValueError, match="a window of 0"):
        sliding_window_attention(*draw(), 3, 0)
    with pytest.raises(ValueError, match="width 6 is not divisible by 4"):
        sliding_window_attention(*draw(), 4, 2)
