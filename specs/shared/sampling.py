"""Logits for which rounding decides nothing, and what the two filters keep of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

GAP = 0.2
"""Of the smallest difference between two logits of a row: far above any rounding, and not so far that only one matters."""
CANDIDATES, ROOM = 64, 0.008
"""Values of p that are tried, and how far one must be from every sum: 1e4 times what float32 rounds."""


def distinct_logits(shape: Sequence[int], seed: int, spread: float) -> torch.Tensor:
    """Rows of logits in random order, each with gaps of GAP and more (``spread`` more on average), around any level."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(tuple(shape), generator=generator, dtype=torch.float64)
    steps = GAP - spread * torch.log1p(-0.999 * uniform) / 2
    level = 3 * torch.randn((*shape[:-1], 1), generator=generator, dtype=torch.float64)
    values = steps.cumsum(-1)
    order = torch.rand(tuple(shape), generator=generator).argsort(-1)
    return (values - values.mean(-1, keepdim=True) + level).gather(-1, order)


def kept_by_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """The k largest of each row."""
    best = logits.topk(top_k, -1).indices
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, best, True)


def kept_by_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Id by id, from the most likely on, until p is reached."""
    kept = torch.zeros_like(logits, dtype=torch.bool)
    for row, probabilities in enumerate(torch.softmax(logits.double(), -1)):
        total = 0.0
        for index in probabilities.argsort(descending=True).tolist():
            kept[row, index] = True
            total += float(probabilities[index])
            if total >= top_p:
                break
    return kept


def roomy_p(logits: torch.Tensor, temperature: float, top_k: int | None, pick: int) -> float:
    """A p that no sum of the largest probabilities of any row comes near, whichever filter comes first, and whether the
    temperature comes before or after: one of them, by ``pick``. With top-k beside it, rather one at which the order shows."""
    candidates = torch.linspace(0.03, 0.97, CANDIDATES, dtype=torch.float64)
    sums, differ = [], torch.zeros(CANDIDATES, dtype=torch.bool)
    for scores in (logits.double() / temperature, logits.double()):
        whole = torch.softmax(scores, -1).sort(-1, descending=True).values.cumsum(-1)
        sums.append(whole)
        if top_k is not None:
            masked = scores.masked_fill(~kept_by_k(scores, top_k), float("-inf"))
            sums.append(torch.softmax(masked, -1).sort(-1, descending=True).values.cumsum(-1))
            fewest = [(s[:, :top_k, None] < candidates).sum(1).clamp(max=top_k - 1) for s in sums[-2:]]
            differ |= (fewest[0] != fewest[1]).any(0)
    room = (candidates[:, None] - torch.cat([s.flatten() for s in sums])).abs().amin(-1)
    roomy = room > ROOM
    for fine in (candidates[roomy & differ], candidates[roomy]):
        if len(fine):
            return float(fine[pick % len(fine)])
    return float(candidates[room.argmax()])
