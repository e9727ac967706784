"""reference_model/packed_attention.py against each document alone."""

import torch

from reference_model import packed_attention


def test_a_document_gives_what_it_gives_alone():
    """torch's causal attention over each document."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 3, 9, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    ids = torch.tensor([0, 0, 1, 1, 1, 1, 5, 6, 6])
    packed = packed_attention(q, k, v, ids)
    for begin, end in ((0, 2), (2, 6), (6, 7), (7, 9)):
        alone = (x[..., begin:end, :] for x in (q, k, v))
        expected = torch.nn.functional.scaled_dot_product_attention(*alone, is_causal=True)
        torch.testing.assert_close(packed[..., begin:end, :], expected)


def test_documents_of_each_row():
    """One row of ids for each row of the batch."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 5, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    ids = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    packed = packed_attention(q, k, v, ids)
    for row in range(2):
        torch.testing.assert_close(packed[row], packed_attention(q[row], k[row], v[row], ids[row]))
