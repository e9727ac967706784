"""Right ways from logits to the distribution of the next id, as published projects write them."""

import numpy
import torch
from torch.nn import functional


def in_place_on_a_copy(logits, temperature=1.0, top_k=None):
    """One-file trainers: no top-p, ties with the k-th stay, temperature 0 divides by zero."""
    logits = logits / temperature
    if top_k is not None:
        v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
        logits[logits < v[:, [-1]]] = -float("Inf")
    return functional.softmax(logits, dim=-1)


def exactly_k(logits, temperature=1.0, top_k=None, top_p=None):
    """Exactly k indices are scattered back; the nucleus in ascending order, from the small end."""
    logits = logits.clone()
    if top_k is not None:
        values, indices = torch.topk(logits, min(top_k, logits.size(-1)))
        logits = torch.full_like(logits, float("-inf")).scatter_(-1, indices, values)
    if temperature == 0.0:
        return functional.one_hot(logits.argmax(-1), logits.size(-1)).to(logits.dtype)
    logits = logits / temperature
    if top_p is not None and top_p < 1.0:
        ascending, indices = torch.sort(logits, descending=False)
        summed = ascending.softmax(dim=-1).cumsum(dim=-1)
        remove = summed <= (1 - top_p)
        remove[..., -1:] = False  # at least the last one
        logits = logits.masked_fill(remove.scatter(-1, indices, remove), float("-inf"))
    return logits.softmax(-1)


def shifted_mask(logits, temperature=1.0, top_k=None, top_p=None):
    """The widely copied gist: remove what is above p, shifted right by one so that the crossing id stays."""
    scores = logits / max(temperature, 1e-8)
    if top_k is not None:
        scores = scores.masked_fill(
            scores < torch.topk(scores, min(top_k, scores.size(-1)))[0][..., -1, None], -float("Inf")
        )
    if top_p is not None:
        ordered, indices = torch.sort(scores, descending=True)
        remove = torch.cumsum(functional.softmax(ordered, dim=-1), dim=-1) > top_p
        remove[..., 1:] = remove[..., :-1].clone()
        remove[..., 0] = 0
        scores = scores.masked_fill(remove.scatter(1, indices, remove), -float("Inf"))
    return torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True))


def sorted_all_along(logits, temperature=1.0, top_k=None, top_p=None):
    """Probabilities in sorted order, zeroed, normalised by their sum, and put back; float32 inside."""
    if temperature == 0:
        raise ValueError("temperature must be positive; take the argmax yourself")
    probabilities, order = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    if top_k is not None:
        probabilities[:, top_k:] = 0
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    if top_p is not None:
        probabilities[(probabilities.cumsum(-1) - probabilities) > top_p] = 0
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, order, probabilities).to(logits.dtype)


def row_by_row(logits, temperature=1.0, top_k=None, top_p=None):
    """Python loops over NumPy rows."""
    rows = []
    for row in logits.double().numpy():
        if temperature == 0:
            rows.append(numpy.eye(len(row))[row.argmax()])
            continue
        scores = row / temperature
        order = list(numpy.argsort(-scores, kind="stable"))
        weights = numpy.exp(scores - scores.max())
        kept = order[:top_k]
        if top_p is not None:
            total, reached = weights[kept].sum(), 0.0
            for place, index in enumerate(kept):
                reached += weights[index] / total
                if reached >= top_p:
                    kept = kept[: place + 1]
                    break
        out = numpy.zeros_like(scores)
        out[kept] = weights[kept] / weights[kept].sum()
        rows.append(out)
    return torch.tensor(numpy.stack(rows), dtype=logits.dtype)


def with_min_p_and_a_penalty(
    logits, input_ids=None, temperature=1.0, top_k=None, top_p=None, minp=0.0, rep_penalty=1.0, generator=None
):
    """Ids as a second argument; gather and scatter for the penalty; min-p by the logarithm."""
    if input_ids is not None and rep_penalty != 1.0:
        score = torch.gather(logits, 1, input_ids)
        score = torch.where(score < 0, score * rep_penalty, score / rep_penalty)
        logits = logits.scatter(1, input_ids, score)
    logits = shifted_mask_scores(logits / max(temperature, 1e-8), top_k, top_p)
    if minp > 0:
        log_p = logits.log_softmax(-1)
        floor = log_p.max(-1, keepdim=True).values + torch.log(torch.tensor(minp, dtype=logits.dtype))
        logits = logits.masked_fill(log_p < floor - 1e-9, -float("inf"))
    return logits.softmax(-1)


def shifted_mask_scores(scores, top_k, top_p):
    """Top-k, then top-p."""
    if top_k is not None:
        kth = torch.topk(scores, min(top_k, scores.size(-1)))[0][..., -1, None]
        scores = scores.masked_fill(scores < kth, -float("inf"))
    if top_p is not None:
        ordered, indices = torch.sort(scores, descending=True)
        remove = torch.cumsum(ordered.softmax(-1), -1) > top_p
        remove[..., 1:] = remove[..., :-1].clone()
        remove[..., 0] = False
        scores = scores.masked_fill(remove.scatter(1, indices, remove), -float("inf"))
    return scores


def with_counted_penalties(
    logits, temperature=1.0, top_k=None, top_p=None, *, prev_tokens=None, frequency_penalty=0.0, presence_penalty=0.0
):
    """As an API describes them: counts by bincount, row by row; no repetition penalty."""
    if prev_tokens is not None:
        rows = []
        for row, seen in zip(logits, prev_tokens, strict=True):
            counts = torch.bincount(seen, minlength=row.numel())
            rows.append(row - frequency_penalty * counts - presence_penalty * (counts > 0).float())
        logits = torch.stack(rows)
    if temperature == 0:
        return functional.one_hot(logits.argmax(-1), logits.size(-1)).to(logits.dtype)
    return shifted_mask_scores(logits / temperature, top_k, top_p).softmax(-1)


VARIANTS = {
    "min-p and a repetition penalty": {"next_token_distribution": with_min_p_and_a_penalty},
    "counted penalties": {"next_token_distribution": with_counted_penalties},
    "in place on a copy": {"next_token_distribution": in_place_on_a_copy},
    "exactly k": {"next_token_distribution": exactly_k},
    "shifted mask": {"next_token_distribution": shifted_mask},
    "sorted all along": {"next_token_distribution": sorted_all_along},
    "row by row": {"next_token_distribution": row_by_row},
}
