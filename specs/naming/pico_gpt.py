"""The components as functions of picoGPT (jaymody/picoGPT gpt2.py).

Dictionaries of weights [in, out], one sequence at a time. The arguments may be arrays of any library: only ``.T`` and
slices are taken of them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.core.claim import NotSupported
from harness.core.contract import Dialect

PICO = "picoGPT"


def pico_linear(weight: Any, bias: Any) -> dict[str, Any]:
    """{"w": [in, out], "b": [out]}; zeros where there is no bias."""
    return {"w": weight.T, "b": bias if bias is not None else 0 * weight[:, 0]}


def pico_norm(gain: Any, shift: Any) -> dict[str, Any]:
    return {"g": gain, "b": shift if shift is not None else 0 * gain}


def pico_mlp(w: Mapping[str, Any]) -> dict[str, Any]:
    return {"c_fc": pico_linear(w["up_weight"], w["up_bias"]), "c_proj": pico_linear(w["down_weight"], w["down_bias"])}


def pico_heads(w: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "c_attn": pico_linear(w["qkv_weight"], w["qkv_bias"]),
        "c_proj": pico_linear(w["out_weight"], w["out_bias"]),
    }


def pico_block(w: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mlp": pico_mlp(w),
        "attn": pico_heads(w),
        "ln_1": pico_norm(w["norm_1_weight"], w["norm_1_bias"]),
        "ln_2": pico_norm(w["norm_2_weight"], w["norm_2_bias"]),
    }


def pico_model(a: Mapping[str, Any]) -> dict[str, Any]:
    w, config = a["weights"], a["config"]
    return {
        "inputs": [int(i) for i in a["ids"]],
        "wte": w["token_embedding"],
        "wpe": w["position_embedding"],
        "blocks": [pico_block(layer) for layer in w["blocks"]],
        "ln_f": pico_norm(w["final_norm_weight"], w["final_norm_bias"]),
        "n_head": config.heads,
    }


def last_axis(a: Mapping[str, Any]) -> dict[str, Any]:
    """Its softmax has no argument for the axis."""
    if a["dim"] not in (-1, len(a["x"].shape) - 1):
        raise NotSupported("it only works along the last axis")
    return {"x": a["x"]}


PICO_SOFTMAX = Dialect(PICO, "softmax", ("x",), last_axis)
PICO_NORM = Dialect(
    PICO,
    "layer_norm",
    ("x", "g", "b", "eps"),
    lambda a: {"x": a["x"], "g": a["weight"], "b": pico_norm(a["weight"], a["bias"])["b"], "eps": a["eps"]},
)
PICO_LINEAR = Dialect(
    PICO,
    "linear",
    ("x", "w", "b"),
    lambda a: {"x": a["x"], **pico_linear(a["weight"], a["bias"])},
)
PICO_MLP = Dialect(PICO, "ffn", ("x", "c_fc", "c_proj"), lambda a: {"x": a["x"], **pico_mlp(a)})
PICO_HEADS = Dialect(
    PICO,
    "mha",
    ("x", "c_attn", "c_proj", "n_head"),
    lambda a: {"x": a["x"], **pico_heads(a), "n_head": a["n_heads"]},
    one_by_one=("x",),
)
PICO_BLOCK = Dialect(
    PICO,
    "transformer_block",
    ("x", "mlp", "attn", "ln_1", "ln_2", "n_head"),
    lambda a: {"x": a["x"], **pico_block(a["weights"]), "n_head": a["n_heads"]},
    one_by_one=("x",),
)
PICO_MODEL = Dialect(
    PICO,
    "gpt2",
    ("inputs", "wte", "wpe", "blocks", "ln_f", "n_head"),
    pico_model,
    one_by_one=("ids",),
)
