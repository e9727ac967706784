"""The cases of attention with its projections, and its weights as maps."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial
from harness.core.measurement import Measurement
from harness.strategies.tensors import ORDINARY, make, seeds, tensors
from specs.shared.attention import Weights, attention_weights, head_sizes, learned, output, roomy_context
from specs.shared.error_maps import side_by_side


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Heads, head size, time and batch all differ; logits from almost equal to one key with all the weight."""
    sizes = draw(head_sizes())
    x, family = draw(tensors((sizes["batch"], sizes["time"], sizes["width"]), (*ORDINARY, "repeated rows")))
    weights = draw(attention_weights(sizes["width"], sharpness=draw(st.sampled_from((1.5, 0.5, 4.0)))))
    return _case(x, weights, sizes, family)


def _case(x: torch.Tensor, weights: Weights, sizes: dict[str, int], family: str) -> Case:
    return Case.of(
        {"x": x, **weights, "n_heads": sizes["heads"]}, family=family, context=roomy_context(sizes["time"]), **sizes
    )


@st.composite
def large_logits(draw: st.DrawFn) -> Case:
    """k = -q, so that the logit of every position with itself is -1.5e4 or -1.5e5.

    A mask that subtracts only 1e4 or 1e5 from the logits of later keys leaves them the largest. Without subtracting
    the maximum of each row, the exponentials overflow or underflow.
    """
    sizes = draw(head_sizes(most_time=5))
    width, head_size = sizes["width"], sizes["width"] // sizes["heads"]
    seed, magnitude = draw(seeds), draw(st.sampled_from((1.5e4, 1.5e5)))
    x = learned("normal", (sizes["batch"], sizes["time"], width), seed, 1.0)
    query = learned("normal", (width, width), seed + 1, math.sqrt(magnitude / width / math.sqrt(head_size)))
    value = learned("normal", (width, width), seed + 2, 1 / math.sqrt(width))
    weights: Weights = {
        "qkv_weight": torch.cat([query, -query, value]),
        "qkv_bias": None,
        "out_weight": learned("normal", (width, width), seed + 3, 1 / math.sqrt(width)),
        "out_bias": learned("normal", (width,), seed + 4, 0.5),
    }
    return _case(x, weights, sizes, f"logits of {magnitude:g}")


@st.composite
def indivisible(draw: st.DrawFn) -> Case:
    """A number of heads that does not divide the width."""
    heads = draw(st.integers(2, 4))
    width = draw(st.sampled_from([w for w in range(heads + 1, 12) if w % heads]))
    sizes = {"width": width, "heads": heads, "time": draw(st.sampled_from((1, 2, 5))), "batch": 1}
    x, _ = draw(tensors((1, sizes["time"], width), ("normal",), overrides=False))
    return _case(x, draw(attention_weights(width)), sizes, f"width {width} with {heads} heads")


MAP_SIZES = {"batch": 1, "time": 7, "heads": 3, "width": 24}
"""A head has at least as many features as there are positions, so that every position can have a one-hot value."""


@st.composite
def mapped_cases(draw: st.DrawFn) -> Case:
    """The last features of the input are the one-hot position, and the values of every head are these features.

    Queries and keys come from the other features, which are random. The out projection is the identity.
    """
    time, heads, width, seed = MAP_SIZES["time"], MAP_SIZES["heads"], MAP_SIZES["width"], draw(st.integers(0, 9))
    rest, size = width - time, width // heads
    x = torch.cat([make("normal", (1, time, rest), seed), torch.eye(time, dtype=torch.float64)[None]], -1)
    products = learned("normal", (2 * width, width), seed + 1, math.sqrt(2.0 / rest))
    products[:, rest:] = 0
    values = torch.zeros(heads, size, width, dtype=torch.float64)
    values[:, :time, rest:] = torch.eye(time, dtype=torch.float64)
    weights = {
        "qkv_weight": torch.cat([products, values.reshape(width, width)]),
        "qkv_bias": torch.zeros(3 * width, dtype=torch.float64),
        "out_weight": torch.eye(width, dtype=torch.float64),
        "out_bias": torch.zeros(width, dtype=torch.float64),
    }
    return _case(x, weights, dict(MAP_SIZES), "positions for values")


def weight_maps(trial: Trial) -> Measurement:
    """out[t, head] holds the attention weights of position t."""
    found, expected = (
        out[0].unflatten(-1, (MAP_SIZES["heads"], -1)).transpose(0, 1)[..., : MAP_SIZES["time"]]
        for out in (output(trial), trial.expect().value)
    )
    how = "inputs with one-hot positions, which the value and out projections pass on: the output is the weights"
    return side_by_side(found, expected, how)
