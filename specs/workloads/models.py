"""What is timed of attention, the block, the whole model and its cache, with torch's fused kernels beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.core.case import Call, Case
from harness.core.values import Settings
from harness.core.workload import Law, Workload
from reference_model.attention import attention
from specs.workloads.parts import EPS, FLOAT, Sizes, fused_mlp, mlp_weights, normal, one_call, with_backward

SCORES = Law("T", 2, 2, "T^2 scores; kernels that never hold them all need T^1 memory")


def _heads(sizes: Sizes) -> float:
    """Operations of the two products of every query with every key, B T^2 D each: all of them, hidden or not."""
    return 4.0 * sizes["B"] * sizes["T"] ** 2 * sizes["D"]


# attention of given queries ------------------------------------------------------------------------------------------


def _queries_case(sizes: Sizes, seed: int) -> Case:
    draw, size = normal(seed), sizes["D"] // sizes["H"]
    shape = (sizes["B"], sizes["H"], sizes["T"], size)
    return one_call(sizes, q=draw(*shape), k=draw(*shape), v=draw(*shape), mask=None)


def _fused_queries(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: functional.scaled_dot_product_attention(a["q"], a["k"], a["v"])


QUERIES = with_backward(
    Workload(
        "forward",
        "T queries over T keys in H heads, nothing hidden",
        _queries_case,
        {"B": 1, "T": 512, "D": 64, "H": 2},
        axes={"T": (64, 128, 256, 512)},
        laws=(SCORES,),
        peers={"F.sdpa, fused": _fused_queries},
        operations=_heads,
        bytes=lambda s: 4.0 * FLOAT * s["B"] * s["T"] * s["D"],
        amount=lambda s: s["B"] * s["T"],
        unit="positions",
    ),
    axes=True,
)

# attention -----------------------------------------------------------------------------------------------------------


def attention_weights(draw: Callable[..., Tensor], width: int) -> dict[str, Tensor]:
    std = width**-0.5
    return {
        "qkv_weight": draw(3 * width, width, std=std),
        "qkv_bias": draw(3 * width, std=0.1),
        "out_weight": draw(width, width, std=std),
        "out_bias": draw(width, std=0.1),
    }


def _attention_case(sizes: Sizes, seed: int) -> Case:
    draw = normal(seed)
    x = draw(sizes["B"], sizes["T"], sizes["D"])
    return one_call(sizes, x=x, **attention_weights(draw, sizes["D"]), n_heads=sizes["H"])


def fused_attention(x: Tensor, weights: Mapping[str, Any], heads: int) -> Tensor:
    """Two products around torch's fused kernel."""
    q, k, v = (
        functional.linear(x, weights["qkv_weight"], weights.get("qkv_bias"))
        .unflatten(-1, (3, heads, -1))
        .permute(2, 0, 3, 1, 4)
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return functional.linear(mixed.transpose(1, 2).flatten(-2), weights["out_weight"], weights.get("out_bias"))


def _fused(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: fused_attention(a["x"], a, a["n_heads"])


def _module(case: Case) -> Callable[[], Tensor] | None:
    """torch.nn.MultiheadAttention, forwards alone: its parameters are its own."""
    a = case.arguments
    if torch.is_grad_enabled() or a["qkv_bias"] is None or a["out_bias"] is None:
        return None
    x, time = a["x"], a["x"].shape[1]
    layer = nn.MultiheadAttention(x.shape[-1], a["n_heads"], batch_first=True, device="meta")
    layer.in_proj_weight, layer.in_proj_bias = nn.Parameter(a["qkv_weight"]), nn.Parameter(a["qkv_bias"])
    layer.out_proj.weight, layer.out_proj.bias = nn.Parameter(a["out_weight"]), nn.Parameter(a["out_bias"])
    layer.eval()
    later = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
    return lambda: layer(x, x, x, attn_mask=later, is_causal=True, need_weights=False)[0]


def attention_operations(s: Sizes) -> float:
    return 8.0 * s["B"] * s["T"] * s["D"] ** 2 + _heads(s) / 2  # causal: half of the products are needed


PEERS = {"torch, fused": _fused, "nn.MultiheadAttention": _module}
_FORWARD, _BACKWARD = with_backward(
    Workload(
        "forward",
        "causal self-attention over T positions",
        _attention_case,
        {"B": 1, "T": 512, "D": 64, "H": 2},
        axes={"T": (64, 128, 256, 512)},
        laws=(SCORES,),
        peers=PEERS,
        operations=attention_operations,
        bytes=lambda s: FLOAT * (2.0 * s["B"] * s["T"] * s["D"] + 4 * s["D"] ** 2),
        amount=lambda s: s["B"] * s["T"],
        unit="positions",
    ),
    axes=True,
    peers={"torch, fused": _fused},
)
ATTENTION = (_FORWARD, _BACKWARD)

# block and model -----------------------------------------------------------------------------------------------------


def _block_weights(draw: Callable[..., Tensor], width: int) -> dict[str, Tensor]:
    return {
        "norm_1_weight": 1 + draw(width, std=0.1),
        "norm_1_bias": draw(width, std=0.1),
        **attention_weights(draw, width),
        "norm_2_weight": 1 + draw(width, std=0.1),
        "norm_2_bias": draw(width, std=0.1),
        **mlp_weights(draw, width),
    }


def _block_case(sizes: Sizes, seed: int) -> Case:
    draw = normal(seed)
    x = draw(sizes["B"], sizes["T"], sizes["D"])
    return one_call(sizes, x=x, weights=_block_weights(draw, sizes["D"]), n_heads=sizes["H"], eps=EPS)


def _norm(x: Tensor, weights: Mapping[str, Any], name: str, eps: float) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], weights[f"{name}_weight"], weights.get(f"{name}_bias"), eps)


def fused_block(x: Tensor, weights: Mapping[str, Any], heads: int, eps: float) -> Tensor:
    x = x + fused_attention(_norm(x, weights, "norm_1", eps), weights, heads)
    return x + fused_mlp(_norm(x, weights, "norm_2", eps), weights)


def _fused_block(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: fused_block(a["x"], a["weights"], a["n_heads"], a["eps"])


def block_operations(s: Sizes) -> float:
    return attention_operations(s) + 16.0 * s["B"] * s["T"] * s["D"] ** 2


IN_BATCHES: dict[str, Any] = {
    "axes": {"B": (1, 2, 4, 8)},
    "laws": (Law("B", 1, 1, "the rows of a batch are independent"),),
    "amount": lambda s: s["B"] * s["T"],
    "unit": "tokens",
}
BLOCK = with_backward(
    Workload(
        "forward",
        "one block over T positions",
        _block_case,
        {"B": 1, "T": 128, "D": 128, "H": 4},
        peers={"torch, fused": _fused_block},
        operations=block_operations,
        bytes=lambda s: FLOAT * (2.0 * s["B"] * s["T"] * s["D"] + 12 * s["D"] ** 2),
        **IN_BATCHES,
    )
)


def _model_case(sizes: Sizes, seed: int) -> Case:
    draw, width, vocabulary = normal(seed), sizes["D"], sizes["V"]
    weights = {
        "token_embedding": draw(vocabulary, width, std=0.2),
        "position_embedding": draw(sizes["T"], width, std=0.2),
        "blocks": [_block_weights(draw, width) for _ in range(sizes["L"])],
        "final_norm_weight": 1 + draw(width, std=0.1),
        "final_norm_bias": draw(width, std=0.1),
    }
    config = Settings(
        vocab_size=vocabulary, context=sizes["T"], width=width, heads=sizes["H"], layers=sizes["L"], norm_eps=EPS
    )
    ids = torch.randint(vocabulary, (sizes["B"], sizes["T"]), generator=torch.Generator().manual_seed(seed))
    return one_call(sizes, ids=ids, weights=weights, config=config)


def _fused_model(case: Case) -> Callable[[], Tensor]:
    ids, weights, config = (case.arguments[name] for name in ("ids", "weights", "config"))

    def model() -> Tensor:
        x = functional.embedding(ids, weights["token_embedding"]) + weights["position_embedding"][: ids.shape[1]]
        for block in weights["blocks"]:
            x = fused_block(x, block, config.heads, config.norm_eps)
        return functional.linear(_norm(x, weights, "final_norm", config.norm_eps), weights["token_embedding"])

    return model


MODEL = with_backward(
    Workload(
        "forward",
        "the whole model, ids to logits",
        _model_case,
        {"B": 1, "T": 64, "D": 128, "H": 4, "L": 2, "V": 1024},
        peers={"torch, fused": _fused_model},
        operations=lambda s: s["L"] * block_operations(s) + 2.0 * s["B"] * s["T"] * s["D"] * s["V"],
        bytes=lambda s: FLOAT * (12.0 * s["L"] * s["D"] ** 2 + s["V"] * s["D"] + s["B"] * s["T"] * s["V"]),
        **IN_BATCHES,
    )
)

# one more token ------------------------------------------------------------------------------------------------------


def _step_case(sizes: Sizes, seed: int) -> Case:
    """T positions at once, then one more, which is timed."""
    draw, time = normal(seed), sizes["T"]
    x = draw(sizes["B"], time + 1, sizes["D"])
    build = Call("build", {**attention_weights(draw, sizes["D"]), "n_heads": sizes["H"], "context": time + 1})
    calls = (build, Call("prefill", {"x": x[:, :time].contiguous()}), Call("step", {"x": x[:, time:].contiguous()}))
    return Case(calls, dict(sizes))


def _everything_again(case: Case) -> Callable[[], Tensor]:
    """What a model without a cache does for every token: attention over all positions, of which the last is kept."""
    build, prefill, step = (call.arguments for call in case.calls)
    x = torch.cat([prefill["x"], step["x"]], 1)
    weights = {name: build[name] for name in ("qkv_weight", "qkv_bias", "out_weight", "out_bias", "n_heads")}
    return lambda: attention(x, **weights)[:, -1:]


def _step_operations(s: Sizes) -> float:
    return s["B"] * (8.0 * s["D"] ** 2 + 4.0 * s["T"] * s["D"])


STEPS = (
    Workload(
        "step",
        "one more position after T that are kept",
        _step_case,
        {"B": 2, "T": 512, "D": 128, "H": 2},
        fresh=True,
        axes={"T": (128, 256, 512, 1024)},
        laws=(Law("T", 1, 1, "one row of scores; without a cache it is T rows"),),
        peers={"without a cache": _everything_again},
        operations=_step_operations,
        bytes=lambda s: FLOAT * (2.0 * s["B"] * s["T"] * s["D"] + 4 * s["D"] ** 2),
        amount=lambda s: s["B"],
        unit="tokens",
    ),
)
