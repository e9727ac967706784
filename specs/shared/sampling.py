"""Logits for which rounding decides nothing, and what the two filters keep of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import seeds

FREE: dict[str, Any] = {"temperature": 1.0, "top_k": None, "top_p": None}
"""No filter and no temperature."""
GAP = 0.2
"""The smallest difference between two logits of a row: far above any rounding, but not so large that one id takes
all."""
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
    """One p, by ``pick``, that no sum of the largest probabilities of any row comes near, whichever filter comes first,
    and whether the temperature comes before or after. With top-k, preferably one at which the order matters."""
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


@st.composite
def cases(draw: st.DrawFn, k: bool = True, p: bool = True) -> Case:
    """No two logits of a row are close, and no sum of probabilities is close to top_p: rounding decides nothing."""
    sizes = draw(distinct_sizes(batch=(1, 4), vocab_size=(2, 11)))
    logits = distinct_logits((sizes["batch"], sizes["vocab_size"]), draw(seeds), draw(st.sampled_from((1.0, 0.5, 2.5))))
    temperature = draw(st.sampled_from((1.0, 0.7, 1.6, 0.4)))
    with_k, with_p = draw(st.sampled_from(((False, False), (True, False), (False, True), (True, True), (True, True))))
    top_k = draw(st.integers(1, sizes["vocab_size"])) if with_k and k else None
    top_p = roomy_p(logits, temperature, top_k, draw(st.integers(0, 99))) if with_p and p else None
    arguments = {"logits": logits, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    filters = [name for name, value in (("top-k", top_k), ("top-p", top_p)) if value is not None]
    return Case.of(arguments, family=f"temperature {temperature:g}, {' and '.join(filters) or 'no filter'}", **sizes)


@st.composite
def both_filters(draw: st.DrawFn) -> Case:
    """Top-k and top-p together, which is where their order shows, over six ids or more."""
    sizes = draw(distinct_sizes(batch=(1, 3), vocab_size=(6, 10)))
    logits = distinct_logits((sizes["batch"], sizes["vocab_size"]), draw(seeds), draw(st.sampled_from((0.5, 1.0))))
    temperature, top_k = draw(st.sampled_from((1.0, 0.6, 1.8))), draw(st.integers(2, 5))
    top_p = roomy_p(logits, temperature, top_k, draw(st.integers(0, 99)))
    arguments = {"logits": logits, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    return Case.of(arguments, family="top-k and top-p", **sizes)


@st.composite
def tied(draw: st.DrawFn) -> Case:
    """Small whole numbers, several times each in every row, and a k that cuts through ids of one value."""
    sizes = draw(distinct_sizes(batch=(1, 3), vocab_size=(4, 9)))
    generator = torch.Generator().manual_seed(draw(seeds))
    shape = (sizes["batch"], sizes["vocab_size"])
    logits = torch.randint(0, 3, shape, generator=generator).double()
    arguments = {"logits": logits, **FREE, "top_k": draw(st.integers(1, sizes["vocab_size"] - 1))}
    return Case.of(arguments, family="ids of one value", **sizes)
