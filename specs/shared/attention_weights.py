"""Cases of scaled dot-product attention, and the weights shown of one of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial
from harness.core.measurement import Measurement
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds
from specs.shared.attention import output
from specs.shared.error_maps import side_by_side

HEAVY = 0.4
"""Share of the keys that a random mask hides; every query keeps one that it may attend to."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Batch, heads, queries, keys, their size and that of the values all differ. No mask in one of four cases, one for
    all rows in another; two leading axes in most, one in some. Products are never all close to zero: there a softmax
    computed in float32, as many are, is off by one and the same rounding for all inputs nearby, like a real effect."""
    sizes = draw(
        distinct_sizes(keys=(2, 7), queries=(1, 6), size=(2, 6), value_size=(1, 7), heads=(1, 3), batch=(1, 4))
    )
    leading = (sizes["batch"], sizes["heads"]) if draw(st.integers(0, 3)) else (sizes["batch"],)
    family, seed = draw(st.sampled_from(("normal", "small integers", "normal", "wide"))), draw(seeds)
    sharpness = draw(st.sampled_from((1.0, 0.5, 2.0))) * (0.3 if family == "wide" else 1.0)
    q, k = (
        sharpness * (make(family, (*leading, sizes[n], sizes["size"]), seed + i) + 0.1)
        for i, n in enumerate(("queries", "keys"))
    )
    v = make(family, (*leading, sizes["keys"], sizes["value_size"]), seed + 2)
    kind = draw(st.sampled_from(("one of its own for each", "none", "one of its own for each", "one for all")))
    mask = None
    if kind != "none":
        of = leading if kind == "one of its own for each" else ()
        mask = _mask((*of, sizes["queries"], sizes["keys"]), seed + 3, draw(st.sampled_from((HEAVY, 0.2, 0.8))))
    return _case(q, k, v, mask, sizes, f"{family}, mask: {kind}")


def _mask(shape: tuple[int, ...], seed: int, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(shape, generator=generator) >= share
    kept = torch.randint(0, shape[-1], (*shape[:-1], 1), generator=generator)
    return mask.scatter(-1, kept, True)


def _case(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any, sizes: dict[str, int], family: str) -> Case:
    return Case.of({"q": q, "k": k, "v": v, "mask": mask}, family=family, **sizes)


@st.composite
def large_logits(draw: st.DrawFn) -> Case:
    """Allowed keys have large negative logits, hidden ones large positive: with a mask that only lowers logits by 100,
    1e3, 1e4 or 1e5 the hidden ones stay the largest, and without the maximum subtracted exponentials overflow or
    vanish. Each query has logits of its own size, which distinguishes such masks."""
    sizes = draw(
        distinct_sizes(keys=(2, 6), queries=(3, 5), size=(3, 5), value_size=(1, 6), heads=(1, 3), batch=(1, 2))
    )
    leading, seed, size = (sizes["batch"], sizes["heads"]), draw(seeds), sizes["size"]
    magnitude = draw(st.sampled_from((1.5e4, 1.5e5, 150.0, 1.5e3)))
    levels = torch.tensor([magnitude, 150.0, 1.5e4, 3.1e3, 1.5e3], dtype=torch.float64)[: sizes["queries"], None]
    towards = make("normal", (*leading, 1, size), seed)
    towards = towards / towards.norm(dim=-1, keepdim=True)
    row = _mask((*leading, 1, sizes["keys"]), seed + 1, HEAVY)
    sign = torch.where(row, -1.0, 1.0).double().transpose(-1, -2)
    k = towards * sign * (1 + 1e-5 * make("normal", (*leading, sizes["keys"], 1), seed + 2))
    v = make("normal", (*leading, sizes["keys"], sizes["value_size"]), seed + 3)
    mask = row.expand(*leading, sizes["queries"], sizes["keys"]).clone() if draw(st.integers(0, 2)) else None
    return _case(towards * levels * math.sqrt(size), k, v, mask, sizes, f"logits of {magnitude:g}")


@st.composite
def shown(draw: st.DrawFn) -> Case:
    """Eight positions that see themselves and earlier ones, two heads; values that are the identity matrix [T, T]."""
    heads, time, size, seed = 2, 8, 4, draw(st.integers(0, 9))
    q, k = (1.2 * make("normal", (1, heads, time, size), seed + i) for i in range(2))
    v = torch.eye(time, dtype=torch.float64).expand(1, heads, time, time).clone()
    mask = torch.ones(time, time, dtype=torch.bool).tril()
    sizes = {"batch": 1, "heads": heads, "queries": time, "keys": time, "size": size, "value_size": time}
    return _case(q, k, v, mask, sizes, "the identity for values")


def weights_shown(trial: Trial) -> Measurement:
    """Where the values are the identity matrix, the result is the weights."""
    how = "the values are the identity matrix, so the output is the weights; the mask is causal"
    return side_by_side(output(trial)[0], trial.expect().value[0], how)
