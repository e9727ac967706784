"""Ten published models in miniature: each is the class of transformers, number by number."""

from __future__ import annotations

import pytest
import torch
from support_published import PUBLISHED, VOCABULARY


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_miniature_is_the_published_model(name: str) -> None:
    """The same logits as the class of transformers with the same weights, over more positions than its window."""
    published = PUBLISHED[name]
    ours = published.ours(name)
    ids = torch.randint(VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = published.twin(ours)(ids).logits
        got = ours(ids)
    scale = expected.abs().max().item()
    assert torch.allclose(got, expected, rtol=1e-4, atol=2e-5 * scale), (got - expected).abs().max()
    assert scale > 0.1
