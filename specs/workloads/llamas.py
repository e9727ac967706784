"""What is timed of a block of Llama and of the whole model, with torch's fused kernels beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.core.case import Case
from harness.core.values import Settings
from harness.core.workload import Workload
from specs.workloads.models import IN_BATCHES
from specs.workloads.parts import EPS, FLOAT, Sizes, normal, one_call, with_backward

BASE = 10000.0


def _block_weights(draw: Callable[..., Tensor], s: Sizes) -> dict[str, Tensor]:
    width, hidden, shared = s["D"], s["F"], s["D"] // s["H"] * s["G"]
    return {
        "norm_1_weight": 1 + draw(width, std=0.1),
        "query_weight": draw(width, width, std=width**-0.5),
        "key_weight": draw(shared, width, std=width**-0.5),
        "value_weight": draw(shared, width, std=width**-0.5),
        "out_weight": draw(width, width, std=width**-0.5),
        "norm_2_weight": 1 + draw(width, std=0.1),
        "gate_weight": draw(hidden, width, std=width**-0.5),
        "up_weight": draw(hidden, width, std=width**-0.5),
        "down_weight": draw(width, hidden, std=hidden**-0.5),
    }


def _block_case(s: Sizes, seed: int) -> Case:
    draw = normal(seed)
    weights = _block_weights(draw, s)
    return one_call(s, x=draw(s["B"], s["T"], s["D"]), weights=weights, n_heads=s["H"], n_kv_heads=s["G"], eps=EPS)


def _rotated(x: Tensor) -> Tensor:
    """By halves.  x [B, H, T, K]"""
    half = x.shape[-1] // 2
    powers = BASE ** (-torch.arange(half, dtype=x.dtype, device=x.device) / half)
    angles = torch.arange(x.shape[-2], dtype=x.dtype, device=x.device)[:, None] * powers
    first, second = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def _fused(x: Tensor, w: Mapping[str, Any], heads: int, groups: int, eps: float) -> Tensor:
    """A block around torch's fused attention."""
    normed = functional.rms_norm(x, x.shape[-1:], w["norm_1_weight"], eps)
    q, k, v = (
        functional.linear(normed, w[f"{name}_weight"]).unflatten(-1, (count, -1)).transpose(1, 2)
        for name, count in (("query", heads), ("key", groups), ("value", groups))
    )
    k, v = (one.repeat_interleave(heads // groups, 1) for one in (_rotated(k), v))
    mixed = functional.scaled_dot_product_attention(_rotated(q), k, v, is_causal=True)
    x = x + functional.linear(mixed.transpose(1, 2).flatten(-2), w["out_weight"])
    normed = functional.rms_norm(x, x.shape[-1:], w["norm_2_weight"], eps)
    gate = functional.silu(functional.linear(normed, w["gate_weight"]))
    return x + functional.linear(gate * functional.linear(normed, w["up_weight"]), w["down_weight"])


def _fused_block(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: _fused(a["x"], a["weights"], a["n_heads"], a["n_kv_heads"], a["eps"])


def _weights_of_a_block(s: Sizes) -> float:
    return 2.0 * s["D"] ** 2 + 2 * s["D"] ** 2 * s["G"] / s["H"] + 3 * s["D"] * s["F"]


def _operations(s: Sizes) -> float:
    """Two for each weight and position, and half of the two products of queries and keys: attention is causal."""
    return 2.0 * s["B"] * s["T"] * _weights_of_a_block(s) + 2.0 * s["B"] * s["T"] ** 2 * s["D"]


BLOCK = with_backward(
    Workload(
        "forward",
        "one block over T positions, two query heads for each key-value head",
        _block_case,
        {"B": 1, "T": 128, "D": 128, "H": 4, "G": 2, "F": 340},
        peers={"torch, fused": _fused_block},
        operations=_operations,
        bytes=lambda s: FLOAT * (2.0 * s["B"] * s["T"] * s["D"] + _weights_of_a_block(s)),
        **IN_BATCHES,
    )
)


def _model_case(s: Sizes, seed: int) -> Case:
    draw = normal(seed)
    weights = {
        "token_embedding": draw(s["V"], s["D"], std=0.2),
        "blocks": [_block_weights(draw, s) for _ in range(s["L"])],
        "final_norm_weight": 1 + draw(s["D"], std=0.1),
        "head_weight": draw(s["V"], s["D"], std=0.2),
    }
    names = {
        "vocab_size": "V",
        "context": "T",
        "width": "D",
        "heads": "H",
        "kv_heads": "G",
        "hidden": "F",
        "layers": "L",
    }
    config = Settings(**{name: s[letter] for name, letter in names.items()}, head_size=None, norm_eps=EPS)
    ids = torch.randint(s["V"], (s["B"], s["T"]), generator=torch.Generator().manual_seed(seed))
    return one_call(s, ids=ids, weights=weights, config=config)


def _fused_model(case: Case) -> Callable[[], Tensor]:
    ids, weights, config = (case.arguments[name] for name in ("ids", "weights", "config"))

    def model() -> Tensor:
        x = functional.embedding(ids, weights["token_embedding"])
        for block in weights["blocks"]:
            x = _fused(x, block, config.heads, config.kv_heads, config.norm_eps)
        normed = functional.rms_norm(x, x.shape[-1:], weights["final_norm_weight"], config.norm_eps)
        head = weights["head_weight"]
        return functional.linear(normed, weights["token_embedding"] if head is None else head)

    return model


MODEL = with_backward(
    Workload(
        "forward",
        "the whole model, ids to logits",
        _model_case,
        {"B": 1, "T": 64, "D": 128, "H": 4, "G": 2, "F": 340, "L": 2, "V": 1024},
        peers={"torch, fused": _fused_model},
        operations=lambda s: s["L"] * _operations(s) + 2.0 * s["B"] * s["T"] * s["D"] * s["V"],
        bytes=lambda s: FLOAT * (s["L"] * _weights_of_a_block(s) + 2 * s["V"] * s["D"] + s["B"] * s["T"] * s["V"]),
        **IN_BATCHES,
    )
)
