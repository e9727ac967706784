"""Cases of the low-rank adapters."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, parameters, seeds, tensors
from specs.shared.low_rank_script import (
    changed,
    script,
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rank, inputs and outputs all differ, but for one square weight in four, where a transposed product has the right
    shape and only its numbers are wrong. Alpha is never the rank: their quotient is 1, and a missing scale unseen.
    """
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 4), rank=(1, 5), in_features=(2, 7), out_features=(1, 8)))
    if draw(st.integers(0, 3)) == 3:
        sizes["out_features"] = sizes["in_features"]
    inputs, outputs, rank = sizes["in_features"], sizes["out_features"], sizes["rank"]
    alpha = draw(st.sampled_from([alpha for alpha in (8, 16.0, 2.5, 0.5, 3, 7.0) if alpha != rank]))
    bias = draw(parameters((outputs,), 0.5, around=1.0)) if draw(st.integers(0, 3)) else None
    shape = (sizes["batch"], sizes["time"], inputs) if draw(st.booleans()) else (sizes["batch"], inputs)
    x, family = draw(tensors(shape))
    weight, a, b = (draw(parameters(s)) for s in ((outputs, inputs), (rank, inputs), (outputs, rank)))
    return script(weight, bias, alpha, a, b, x, family, **sizes)


@st.composite
def ordinary_cases(draw: st.DrawFn) -> Case:
    """Normal values, so that nothing vanishes: for claims that measure."""
    sizes = draw(distinct_sizes(batch=(2, 3), rank=(2, 4), in_features=(4, 7), out_features=(3, 8)))
    inputs, outputs, rank = sizes["in_features"], sizes["out_features"], sizes["rank"]
    bias = draw(parameters((outputs,), 0.5, around=1.0)) if draw(st.booleans()) else None
    shapes = ((outputs, inputs), (rank, inputs), (outputs, rank), (sizes["batch"], inputs))
    weight, a, b, x = (draw(parameters(s)) for s in shapes)
    return script(weight, bias, draw(st.sampled_from((8, 2.5, 0.5))), a, b, x, "normal", **sizes)


BITS, ROWS = 6, 200


@st.composite
def dropout_cases(draw: st.DrawFn) -> Case:
    """Every row of x is 1, 2, 4, ..., 32 and A sums it, so that what comes out spells which inputs were kept."""
    share = draw(st.sampled_from((0.25, 0.4, 0.1)))
    x = (2.0 ** torch.arange(BITS, dtype=torch.float64)).expand(ROWS, BITS).clone()
    a, weight = torch.ones(1, BITS, dtype=torch.float64), torch.zeros(3, BITS, dtype=torch.float64)
    b = make("normal", (3, 1), draw(seeds)) + torch.tensor([[4.0], [-4.0], [4.0]], dtype=torch.float64)
    alpha, sizes = draw(st.sampled_from((3.0, 8.0))), {"rank": 1, "in_features": BITS, "out_features": 3}
    return changed(script(weight, None, alpha, a, b, x, f"dropout {share:g}", **sizes), "build", dropout=share)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """What cannot be meant: an x, or an A, of another width than the weight."""
    case = draw(ordinary_cases())
    a, x = case.calls[1].arguments["a"], case.arguments["x"]
    if draw(st.booleans()):
        wider = changed(case, "load", a=torch.cat([a, a[:, :1]], 1))
        return replace(wider, family="an a that is one wider than the weight")
    return replace(case.changed(x=torch.cat([x, x[..., :1]], -1)), family="an x that is one wider than the weight")
