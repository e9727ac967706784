"""From logits to the probabilities that the next id is drawn with."""

import torch
from torch import Tensor


def next_token_distribution(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    previous: Tensor | None = None,
    repetition_penalty: float = 1.0,
    presence_penalty: float = 0.0,
    frequency_penalty: float = 0.0,
) -> Tensor:
    """softmax(logits / temperature) over the ids that top-k, top-p, min-p leave.  logits [..., V] -> [..., V]

    Temperature 0 is greedy: all probability on the first of the largest logits.  None leaves a filter out.
    previous int [..., S]: the ids so far, whose logits are penalised first; see `penalised`.
    Raises ValueError for a temperature below 0, a top_k below 1, a top_p outside (0, 1], a min_p outside [0, 1] or a
    repetition_penalty that is not above 0.
    Source: Fan et al. 2018, section 5.4 (top-k); Holtzman et al. 2020, section 3.1, equations 2 and 3 (top-p), and
    section 3.2; Nguyen et al. 2024, section 3 (min-p); huggingface/transformers generation/logits_process.py (the
    order: penalties, temperature, top-k, top-p, min-p).
    """
    refuse_impossible(temperature, top_k, top_p, min_p, repetition_penalty)
    if previous is not None:
        logits = penalised(logits, previous, repetition_penalty, presence_penalty, frequency_penalty)
    if temperature == 0.0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    first, last = None, min_p  # when min-p is applied: before the other filters or after them
    scores = logits / temperature
    scores = only_near_the_best(scores, first)
    scores = only_the_most_likely(scores, top_k)
    scores = only_the_nucleus(scores, top_p)
    scores = only_near_the_best(scores, last)
    return torch.softmax(scores, dim=-1)


def penalised(logits: Tensor, previous: Tensor, repetition: float, presence: float, frequency: float) -> Tensor:
    """Logits of the previous ids lowered.  logits [..., V], previous int [..., S] -> [..., V]

    repetition: a positive logit of a previous id is divided by it, a negative one multiplied, however often the id
    stands in the row.  presence is subtracted once, frequency once for every time that it stands there.
    Source: Keskar et al. 2019, section 4.1 (divide); huggingface/transformers RepetitionPenaltyLogitsProcessor
    (multiply the negative ones); OpenAI API reference (presence and frequency).
    """
    ones = torch.ones_like(previous, dtype=logits.dtype)
    counts = torch.zeros_like(logits).scatter_add(-1, previous, ones)  # [..., V]
    present = counts > 0
    rescaled = torch.where(logits > 0, logits / repetition, logits * repetition)
    scores = torch.where(present, rescaled, logits)
    scores = scores - presence * present
    return scores - frequency * counts


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


def only_near_the_best(scores: Tensor, min_p: float | None) -> Tensor:
    """Ids with at least min_p times the largest probability of the row; -inf elsewhere.  [..., V] -> [..., V]"""
    if min_p is None:
        return scores
    probabilities = torch.softmax(scores, dim=-1)
    largest = probabilities.amax(dim=-1, keepdim=True)
    unlikely = probabilities < min_p * largest
    left_out = unlikely & (probabilities < largest)  # the most likely stays, whatever rounding does at min_p = 1
    return scores.masked_fill(left_out, float("-inf"))


def refuse_impossible(
    temperature: float, top_k: int | None, top_p: float | None, min_p: float | None, repetition_penalty: float
) -> None:
    """Raise ValueError for settings that cannot be meant."""
    if not temperature >= 0.0:
        raise ValueError(f"temperature must be 0 or more, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be in (0, 1], not {top_p}")
    if min_p is not None and not 0.0 <= min_p <= 1.0:
        raise ValueError(f"min_p must be in [0, 1], not {min_p}")
    if not repetition_penalty > 0.0:
        raise ValueError(f"repetition_penalty must be above 0, not {repetition_penalty}")
