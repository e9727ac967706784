"""The block and the language model of Stanford's CS336, assignment 1: Llama's, without groups of heads or options.

Their weights are dictionaries of the names that its own modules have. Keys and values that heads share are given to
each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.core.claim import NotSupported
from specs.naming.cs336 import adapter

EPS, BASE = 1e-5, 10000.0
NAMES = {
    "attn.q_proj.weight": "query_weight",
    "attn.k_proj.weight": "key_weight",
    "attn.v_proj.weight": "value_weight",
    "attn.output_proj.weight": "out_weight",
    "ln1.weight": "norm_1_weight",
    "ffn.w1.weight": "gate_weight",
    "ffn.w2.weight": "down_weight",
    "ffn.w3.weight": "up_weight",
    "ln2.weight": "norm_2_weight",
}
"""CS336's names -> the contract's."""


def cs336_block_weights(weights: Mapping[str, Any], heads: int, kv_heads: int) -> dict[str, Any]:
    """One layer's weights under their names. Raises NotSupported where one is missing, or there are others."""
    given = {name: value for name, value in weights.items() if value is not None}
    if other := sorted(given.keys() ^ set(NAMES.values())):
        raise NotSupported(f"its blocks always have the same weights, of which these are not: {', '.join(other)}")
    for name in ("key_weight", "value_weight"):
        groups = given[name].reshape(kv_heads, -1, given[name].shape[-1])
        given[name] = groups.repeat_interleave(heads // kv_heads, 0).reshape(-1, groups.shape[-1])
    return {own: given[name] for own, name in NAMES.items()}


def _require_plain(settings: Mapping[str, Any], head_size: int) -> None:
    """Raises NotSupported for a setting that it has no argument for. ``head_size``: what it has always."""
    plain = {"window": (None,), "eps": (None, EPS), "norm_eps": (None, EPS), "head_size": (None, head_size)}
    for name, usual in plain.items():
        if settings.get(name) not in usual:
            raise NotSupported(f"it has no argument for {name}")


def cs336_block(a: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of run_transformer_block."""
    x, heads = a["x"], a["n_heads"]
    _require_plain(a, x.shape[-1] // heads)
    weights = cs336_block_weights(a["weights"], heads, a["n_kv_heads"])
    return {
        "d_model": x.shape[-1],
        "num_heads": heads,
        "d_ff": weights["ffn.w1.weight"].shape[0],
        "max_seq_len": x.shape[1],
        "theta": a.get("rope_base") or BASE,
        "weights": weights,
        "in_features": x,
    }


def cs336_model(a: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of run_transformer_lm. A tied head is given as one of its own."""
    ids, weights, config = a["ids"], a["weights"], a["config"]
    options = {
        name: getattr(config, name, None) for name in ("window", "norm_eps", "head_size", "kv_heads", "rope_base")
    }
    heads, embedding, gain = config.heads, weights["token_embedding"], weights.get("final_norm_weight")
    kv_heads = options["kv_heads"] or heads
    blocks = [cs336_block_weights(layer, heads, kv_heads) for layer in weights["blocks"]]
    if gain is None or not blocks:
        raise NotSupported("it has a final norm with a gain, and blocks")
    width, head = embedding.shape[1], weights.get("head_weight")
    _require_plain(options, width // heads)
    layers = {f"layers.{i}.{name}": value for i, layer in enumerate(blocks) for name, value in layer.items()}
    return {
        "vocab_size": embedding.shape[0],
        "context_length": ids.shape[1],
        "d_model": width,
        "num_layers": len(blocks),
        "num_heads": heads,
        "d_ff": blocks[0]["ffn.w1.weight"].shape[0],
        "rope_theta": options["rope_base"] or BASE,
        "weights": {
            "token_embeddings.weight": embedding,
            **layers,
            "ln_final.weight": gain,
            "lm_head.weight": embedding if head is None else head,
        },
        "in_indices": ids,
    }


CS336_BLOCK = adapter(
    "run_transformer_block",
    ("d_model", "num_heads", "d_ff", "max_seq_len", "theta", "weights", "in_features"),
    cs336_block,
    accepts=("rotary",),
    lacks=("x",),
)
CS336_MODEL = adapter(
    "run_transformer_lm",
    (
        *("vocab_size", "context_length", "d_model", "num_layers", "num_heads", "d_ff", "rope_theta", "weights"),
        "in_indices",
    ),
    cs336_model,
    accepts=("rotary",),
    lacks=("ids",),
)
