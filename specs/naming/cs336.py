"""The components as functions of Stanford's CS336, assignment 1 (tests/adapters.py).

Weights are arguments, with sizes beside them and no biases. The arguments may be arrays of any library: only slices are
taken of them here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect

CS336 = "Stanford's CS336 assignment 1"
adapter: Callable[..., Dialect] = partial(Dialect, CS336, entry=True)
"""One of the functions of the adapters file. What stands beside them is a helper."""


def thirds(weight: Any) -> tuple[Any, Any, Any]:
    """The rows of q, of k and of v."""
    width = weight.shape[0] // 3
    return weight[:width], weight[width : 2 * width], weight[2 * width :]


def cs336_heads(a: Mapping[str, Any]) -> dict[str, Any]:
    q, k, v = thirds(a["qkv_weight"])
    return {
        "d_model": a["x"].shape[-1],
        "num_heads": a["n_heads"],
        "q_proj_weight": q,
        "k_proj_weight": k,
        "v_proj_weight": v,
        "o_proj_weight": a["out_weight"],
        "in_features": a["x"],
    }


CS336_LINEAR = adapter(
    "run_linear",
    ("d_in", "d_out", "weights", "in_features"),
    lambda a: {
        "d_in": a["weight"].shape[1],
        "d_out": a["weight"].shape[0],
        "weights": a["weight"],
        "in_features": a["x"],
    },
    absent=("bias",),
)
CS336_EMBEDDING = adapter(
    "run_embedding",
    ("vocab_size", "d_model", "weights", "token_ids"),
    lambda a: {
        "vocab_size": a["weight"].shape[0],
        "d_model": a["weight"].shape[1],
        "weights": a["weight"],
        "token_ids": a["ids"],
    },
)
CS336_SWIGLU = adapter(
    "run_swiglu",
    ("d_model", "d_ff", "w1_weight", "w2_weight", "w3_weight", "in_features"),
    lambda a: {
        "d_model": a["x"].shape[-1],
        "d_ff": a["up_weight"].shape[0],
        "w1_weight": a["gate_weight"],
        "w2_weight": a["down_weight"],
        "w3_weight": a["up_weight"],
        "in_features": a["x"],
    },
)
CS336_ATTEND = adapter(
    "run_scaled_dot_product_attention",
    ("Q", "K", "V", "mask"),
    lambda a: {"Q": a["q"], "K": a["k"], "V": a["v"], "mask": a["mask"]},
    accepts=("nan_where_all_is_hidden", ""),  # the course never hides all keys
)
CS336_HEADS = adapter(
    "run_multihead_self_attention",
    ("d_model", "num_heads", "q_proj_weight", "k_proj_weight", "v_proj_weight", "o_proj_weight", "in_features"),
    cs336_heads,
    absent=("qkv_bias", "out_bias"),
)
CS336_ROTARY_HEADS = adapter(
    "run_multihead_self_attention_with_rope",
    (
        *("d_model", "num_heads", "max_seq_len", "theta", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
        *("o_proj_weight", "in_features", "token_positions"),
    ),
    lambda a: {
        **cs336_heads(a),
        "max_seq_len": a["x"].shape[1],
        "theta": 10000.0,
        "token_positions": torch.arange(a["x"].shape[1])[None],
    },
    absent=("qkv_bias", "out_bias"),
    accepts=("rotary",),
)
"""The same with rotary positions. Where both are there, ``run_multihead_self_attention`` is the component."""


def cs336_rope(a: Mapping[str, Any]) -> dict[str, Any]:
    """Positions [batch, time] are given an axis for the heads, as "... sequence_length" asks for."""
    positions = a["positions"]
    if int(positions.min()) < 0:
        raise NotSupported("its table begins at position 0")
    return {
        "d_k": a["x"].shape[-1],
        "theta": a["base"],
        "max_seq_len": int(positions.max()) + 1,
        "in_query_or_key": a["x"],
        "token_positions": positions[:, None] if positions.ndim > 1 else positions,
    }


CS336_ROPE = adapter("run_rope", ("d_k", "theta", "max_seq_len", "in_query_or_key", "token_positions"), cs336_rope)


def cs336_cross_entropy(a: Mapping[str, Any]) -> dict[str, Any]:
    """Logits [batch * time, vocab_size]. It knows no target that is ignored."""
    targets = a["targets"].reshape(-1)
    if bool((targets == a["ignore_index"]).any()):
        raise NotSupported("it has no argument for targets that are ignored")
    return {"inputs": a["logits"].reshape(-1, a["logits"].shape[-1]), "targets": targets}


CS336_CROSS_ENTROPY = adapter("run_cross_entropy", ("inputs", "targets"), cs336_cross_entropy)
CS336_RMS_NORM = adapter(
    "run_rmsnorm",
    ("d_model", "eps", "weights", "in_features"),
    lambda a: {"d_model": a["x"].shape[-1], "eps": a["eps"], "weights": a["weight"], "in_features": a["x"]},
)
CS336_SOFTMAX = adapter(
    "run_softmax",
    ("in_features", "dim"),
    lambda a: {"in_features": a["x"], "dim": a["dim"]},
)


CS336_SCHEDULES = tuple(
    Dialect(
        CS336,
        function,
        ("it", "max_learning_rate", "min_learning_rate", "warmup_iters", "cosine_cycle_iters"),
        lambda a: {
            "it": a["step"],
            "max_learning_rate": a["peak"],
            "min_learning_rate": a["floor"],
            "warmup_iters": a["warmup"],
            "cosine_cycle_iters": a["total"],
        },
        entry=function.startswith("run_"),
    )
    for function in ("run_get_lr_cosine_schedule", "get_lr_cosine_schedule")
)
