"""Right attention over packed documents, as it is written in trainers."""

import itertools

import torch
from torch.nn import functional


def with_torch(q, k, v, document_ids):
    time = q.shape[-2]
    same = document_ids[..., :, None] == document_ids[..., None, :]
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(time, time).tril().bool() & same)


def loop_over_runs(q, k, v, doc_ids):
    """Each document on its own, causal; the results joined."""
    changes = (torch.diff(doc_ids) != 0).nonzero().flatten() + 1
    edges = [0, *changes.tolist(), doc_ids.numel()]
    outs = [
        functional.scaled_dot_product_attention(*(x[..., a:b, :] for x in (q, k, v)), is_causal=True)
        for a, b in itertools.pairwise(edges)
    ]
    return torch.cat(outs, -2)


def from_boundaries(q, k, v, cu_seqlens):
    """Boundaries as kernels for rows of unequal length take them; which document by searchsorted."""
    time = q.shape[-2]
    place = torch.arange(time)
    document = torch.searchsorted(cu_seqlens.long(), place, right=True)
    seen = (document[:, None] == document) & (place[:, None] >= place)
    scores = (q / q.shape[-1] ** 0.5) @ k.mT
    return scores.masked_fill(~seen, torch.finfo(q.dtype).min).softmax(-1) @ v


def earliest_key(q, k, v, segment_ids):
    """The first position of each position's document bounds the keys."""
    time = q.shape[-2]
    rows = segment_ids if segment_ids.dim() == 1 else segment_ids[..., :]
    begins = torch.cat([torch.ones_like(rows[..., :1], dtype=torch.bool), rows[..., 1:] != rows[..., :-1]], -1)
    place = torch.arange(time).expand(rows.shape)
    first = torch.where(begins, place, 0).cummax(-1).values
    seen = (place[..., None, :] >= first[..., None]) & (place[..., None, :] <= place[..., None])
    bias = torch.zeros(seen.shape, dtype=q.dtype).masked_fill(~seen, -torch.inf)
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + bias).softmax(-1) @ v


VARIANTS = {
    "packed with torch": {"packed_attention": with_torch},
    "loop over runs": {"packed_attention": loop_over_runs},
    "from boundaries": {"packed_attention": from_boundaries},
    "earliest key": {"packed_attention": earliest_key},
}
