"""The weights with which positions look at each other, as maps: theirs beside the reference's, read from the outside."""

from __future__ import annotations

import math

import torch

from harness.core.measurement import Measurement

WHAT_THEY_SHOW = (
    "Rows are queries, columns are keys. Queries and keys are random: the maps show mask, scale and shape, and nothing "
    "learned. With trained weights too, much weight on a token is no proof that it matters to the result (Jain and Wallace 2019, "
    "Attention is not Explanation; Wiegreffe and Pinter 2019, Attention is not not Explanation)"
)
ALIKE = 1e-5
"""Differences below it are told as agreement: float32 leaves 1e-7, tables in float32 a little more. Informational only."""


def side_by_side(theirs: torch.Tensor, ours: torch.Tensor, how: str) -> Measurement:
    """Weights [heads, queries, keys] of both, head by head in turns, and the largest difference in any of them."""
    theirs, ours = theirs.detach().double(), ours.detach().double()
    grids = {}
    for head, (mine, right) in enumerate(zip(theirs, ours, strict=True), 1):
        grids[f"yours, head {head}"] = _rows(mine)
        grids[f"reference, head {head}"] = _rows(right)
    apart = (theirs - ours).abs().nan_to_num(math.inf, math.inf)
    largest = float(apart.max())
    head, query, _ = (int(n) for n in (apart == largest).nonzero()[0])
    if not math.isfinite(largest):
        told = f"its weights are not finite (head {head + 1}, query {query})"
    elif largest > ALIKE:
        told = f"its weights differ by up to {largest:.2g} (head {head + 1}, query {query})"
    else:
        told = "its weights match the reference's" + (f" to {largest:.1g}" if largest else ", exactly")
    return Measurement(told, f"{how}. {WHAT_THEY_SHOW}", largest, "largest difference in a weight", grids=grids)


def _rows(weights: torch.Tensor) -> list[list[float]]:
    """As they are shown and kept: six decimals."""
    return [[round(weight, 6) for weight in row] for row in weights.tolist()]
