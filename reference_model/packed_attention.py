"""Causal attention over several documents in one row."""

import torch
from torch import Tensor

from reference_model.scaled_dot_product_attention import scaled_dot_product_attention


def packed_attention(q: Tensor, k: Tensor, v: Tensor, document_ids: Tensor) -> Tensor:
    """Attention in which a position sees the positions of its own document up to itself.

    q, k [..., T, K], v [..., T, Kv] -> [..., T, Kv].  document_ids int [T] or [..., T], broadcast over what is before
    it: positions with one number are one document, and stand together.  A document gives what it gives alone.
    Source: Krell et al. 2021 (packing), section 3.2; Dubey et al. 2024 (Llama 3), section 3.2 (the mask).
    """
    time = q.shape[-2]
    everywhere = torch.ones(time, time, dtype=torch.bool, device=q.device)
    past = everywhere.tril()  # [T, T]: True where the key is not after the query
    same = document_ids.unsqueeze(-1) == document_ids.unsqueeze(-2)  # [..., T, T]
    mask = past & same
    return scaled_dot_product_attention(q, k, v, mask)
