"""From logits to the probabilities that the next id is drawn with."""

import torch
from torch import Tensor


def next_token_distribution(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """softmax(logits / temperature) over the ids that top-k, then top-p, leave.  logits [..., V] -> [..., V]

    Temperature 0 is greedy: all probability on the first of the largest logits.  None leaves a filter out.
    Raises ValueError for a temperature below 0, a top_k below 1 or a top_p outside (0, 1].
    Source: Fan et al. 2018, section 5.4 (top-k); Holtzman et al. 2020, section 3.1, equations 2 and 3 (top-p), and
    section 3.2; huggingface/transformers generation/logits_process.py (the order: temperature, top-k, top-p).
    """
    if not temperature >= 0.0:
        raise ValueError(f"temperature must be 0 or more, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be in (0, 1], not {top_p}")
    if temperature == 0.0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    scores = logits / temperature
    scores = only_the_most_likely(scores, top_k)
    scores = only_the_nucleus(scores, top_p)
    return torch.softmax(scores, dim=-1)


def only_the_most_likely(scores: Tensor, top_k: int | None) -> Tensor:
    """The k largest scores of each row, and what ties with the last of them; -inf elsewhere.  [..., V] -> [..., V]"""
    if top_k is None:
        return scores
    kept = min(top_k, scores.shape[-1])
    highest = scores.topk(kept, dim=-1).values  # [..., k], the largest first
    least = highest[..., -1:]
    left_out = scores < least
    return scores.masked_fill(left_out, float("-inf"))


def only_the_nucleus(scores: Tensor, top_p: float | None) -> Tensor:
    """The fewest of the most likely ids that together reach probability p; -inf elsewhere.  [..., V] -> [..., V]

    The id with which p is reached is kept, and so is the most likely one whatever p is.
    """
    if top_p is None:
        return scores
    ordered, order = scores.sort(dim=-1, descending=True)
    probabilities = torch.softmax(ordered, dim=-1)
    reached = probabilities.cumsum(dim=-1)
    before = reached - probabilities  # of all that are more likely
    too_late = before >= top_p  # in the order of likelihood
    too_late[..., 0] = False
    left_out = torch.zeros_like(too_late).scatter(-1, order, too_late)
    return scores.masked_fill(left_out, float("-inf"))
