"""Attention weights as maps, those of the implementation next to the reference's."""

from __future__ import annotations

import math

import torch

from harness.core.measurement import Measurement

WHAT_THEY_SHOW = (
    "Rows are queries, columns are keys. Queries and keys are random: the maps show mask, scale and shape, and nothing "
    "learned. With trained weights too, much weight on a token is no proof that it matters to the result (Jain and "
    "Wallace 2019, Attention is not Explanation; Wiegreffe and Pinter 2019, Attention is not not Explanation)"
)
ALIKE = 1e-5
"""Smaller differences count as agreement: float32 leaves 1e-7, tables in float32 a little more. Informational."""


def side_by_side(found: torch.Tensor, expected: torch.Tensor, how: str) -> Measurement:
    """The weights [head, query, key] of implementation and reference, head by head, and their largest difference."""
    found, expected = found.detach().double(), expected.detach().double()
    grids = {}
    for head, (actual, right) in enumerate(zip(found, expected, strict=True), 1):
        grids[f"yours, head {head}"] = _rows(actual)
        grids[f"reference, head {head}"] = _rows(right)
    difference = (found - expected).abs().nan_to_num(math.inf, math.inf)
    largest = float(difference.max())
    head, query, _ = (int(n) for n in (difference == largest).nonzero()[0])
    if not math.isfinite(largest):
        text = f"its weights are not finite (head {head + 1}, query {query})"
    elif largest > ALIKE:
        text = f"its weights differ by up to {largest:.2g} (head {head + 1}, query {query})"
    else:
        text = "its weights match the reference's" + (f" to {largest:.1g}" if largest else ", exactly")
    return Measurement(text, f"{how}. {WHAT_THEY_SHOW}", largest, "largest difference in a weight", grids=grids)


def _rows(weights: torch.Tensor) -> list[list[float]]:
    """Rounded to six decimals, as reports show and records keep them."""
    return [[round(weight, 6) for weight in row] for row in weights.tolist()]
