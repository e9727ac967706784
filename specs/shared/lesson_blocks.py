"""A small GPT whose linear maps and positions a lesson can exchange. Norms, attention and GELU are components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Components

LinearMap = Callable[[int, str, Tensor], Tensor]
"""(layer, name of the weight, input) -> output: ``qkv_weight``, ``out_weight``, ``up_weight``, ``down_weight``."""
Turn = Callable[[Tensor], Tensor]
"""What becomes of queries and keys [B, H, T, K] before they meet."""


def plain(weights: Mapping[str, Any]) -> LinearMap:
    """The linear maps of a model as they are."""

    def apply(layer: int, name: str, x: Tensor) -> Tensor:
        held = weights["blocks"][layer]
        return torch.nn.functional.linear(x, held[name], held[name.replace("weight", "bias")])

    return apply


def through(
    components: Components,
    stream: Tensor,
    weights: Mapping[str, Any],
    heads: int,
    apply: LinearMap,
    turn: Turn = lambda x: x,
    after: Callable[[int, Tensor], Tensor] = lambda layer, x: x,
) -> Tensor:
    """The stream behind all blocks and the final norm. ``after(layer, stream)``: what goes on from each block."""
    time = stream.shape[1]
    mask = torch.ones(time, time, dtype=torch.bool).tril()
    for at, held in enumerate(weights["blocks"]):
        normed = norm(components, stream, held["norm_1_weight"], held["norm_1_bias"])
        q, k, v = (in_heads(part, heads) for part in apply(at, "qkv_weight", normed).chunk(3, -1))
        mixed = components.call("scaled_dot_product_attention", q=turn(q), k=turn(k), v=v, mask=mask)
        stream = stream + apply(at, "out_weight", mixed.transpose(1, 2).flatten(-2))
        normed = norm(components, stream, held["norm_2_weight"], held["norm_2_bias"])
        raised = components.call("gelu", x=apply(at, "up_weight", normed))
        stream = after(at, stream + apply(at, "down_weight", raised))
    return norm(components, stream, weights["final_norm_weight"], weights["final_norm_bias"])


def norm(components: Components, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The component `layer_norm`."""
    found: Tensor = components.call("layer_norm", x=x, weight=weight, bias=bias, eps=1e-5)
    return found


def in_heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, D] -> [B, H, T, K]"""
    found: Tensor = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return found


def embedded(weights: Mapping[str, Any], ids: Tensor) -> Tensor:
    """Tokens and learned positions.  -> [B, T, D]"""
    found: Tensor = weights["token_embedding"][ids] + weights["position_embedding"][: ids.shape[1]]
    return found


BLOCKS = ("layer_norm", "scaled_dot_product_attention", "gelu")
"""The components that :func:`through` calls."""
