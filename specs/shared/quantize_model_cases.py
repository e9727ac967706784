"""Cases of a model with quantized weights, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from specs.shared.attention import block_weights, head_sizes, learned, silent_parts

KINDS = {
    "attention": ("qkv_weight", "out_weight"),
    "mlp": ("up_weight", "down_weight"),
    "norms": ("norm_1_weight", "norm_2_weight", "final_norm_weight"),
    "embeddings": ("token_embedding", "position_embedding"),
}
"""What each kind must quantize. Whether it quantizes the biases of the norms too is open."""
USUAL = ("attention", "mlp")
FURTHEST = {8: 0.0070313, 4: 1 / 6, 3: 0.27}
"""The largest error of a number, relative to the largest of its tensor: the widest of the codebooks in use (the dynamic
map of eight bits, FP4, a normal float of three bits), and 1 % more. Finer scales only make it less."""
WEIGHTS = Call("weights", {})


def script(
    weights: Mapping[str, Any], config: Settings, bits: int, ids: torch.Tensor, family: str, **more: Any
) -> Case:
    """build, weights, forward."""
    build = Call("build", {"weights": weights, "config": config, "bits": bits, **more})
    return Case((build, WEIGHTS, Call("forward", {"ids": ids})), {}, family)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """All sizes different, one layer or three with weights of their own; sometimes matrices of zeros."""
    sizes = draw(
        head_sizes(most_time=4, most_batch=2, most_heads=2, four_fold=True, context=(6, 9), vocab_size=(6, 13))
    )
    layers, bits = draw(st.sampled_from((3, 1))), draw(st.sampled_from((8, 4)))
    weights, config = draw(models(sizes, layers, draw(silent_parts)))
    ids = draw(token_ids((sizes["batch"], sizes["time"]), sizes["vocab_size"]))
    return script(weights, config, bits, ids, f"{layers} layers, {bits} bits")


@st.composite
def models(
    draw: st.DrawFn, sizes: Mapping[str, int], layers: int, silent: tuple[str, ...]
) -> tuple[dict[str, Any], Settings]:
    width, seed = sizes["width"], draw(seeds)
    given = {name: sizes[name] for name in ("vocab_size", "context", "width", "heads")}
    config = Settings(**given, layers=layers, norm_eps=1e-5)
    weights = {
        "token_embedding": learned("normal", (config.vocab_size, width), seed, 1.0),
        "position_embedding": learned("normal", (config.context, width), seed + 1, 0.7),
        "blocks": [draw(block_weights(width, 4 * width, silent)) for _ in range(layers)],
        "final_norm_weight": learned("normal", (width,), seed + 2, 0.4, around=1.2),
        "final_norm_bias": learned("normal", (width,), seed + 3, 0.4) if draw(st.integers(0, 5)) else None,
    }
    return weights, config


@st.composite
def larger_cases(draw: st.DrawFn, layers: int = 2) -> Case:
    """Large enough for scales to be few beside codes: 64 wide, and two layers."""
    weights, config = draw(models({"vocab_size": 50, "context": 16, "width": 64, "heads": 4}, layers, ()))
    return script(weights, config, 8, draw(token_ids((2, 16), 50)), f"64 wide, {layers} layers")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    case = draw(cases())
    build = case.calls[0].arguments
    family = draw(st.sampled_from(("an unknown kind", "0 bits", "an unknown kind", "-3 bits")))
    changed: dict[str, Any] = {"kinds": ("everything",)} if "kind" in family else {"bits": int(family.split()[0])}
    return Case((Call("build", {**build, **changed}),), {}, family)


def asked(case: Case) -> dict[str, Any]:
    return dict(case.calls[0].arguments)


def with_build(case: Case, **arguments: Any) -> Case:
    build, *rest = case.calls
    return Case((Call("build", {**build.arguments, **arguments}), *rest), case.dimensions, case.family)


def named(weights: Mapping[str, Any]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """(where, name, tensor) of everything a model holds; what is None left out."""
    for name, value in weights.items():
        if torch.is_tensor(value):
            yield name, name, value
    for place, block in enumerate(weights["blocks"]):
        for name, value in block.items():
            if torch.is_tensor(value):
                yield f"blocks.{place}.{name}", name, value


def held_weights(trial: Trial, case: Case | None = None, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """What weights() returns, by its place, checked to have the form of what was given."""
    case = case or trial.case
    answer = trial.run(case, dtype=dtype)
    found = answer.outputs[1]
    if not isinstance(found, Mapping) or not isinstance(found.get("blocks"), (list, tuple)):
        form = "weights in the form that build() was given, blocks included"
        raise Violation(f"weights() returns a {type(found).__name__}; it must return {form}")
    tensors = {where: value for where, _, value in named(found)}
    for where, _, given in named(asked(case)["weights"]):
        value = tensors.get(where)
        if value is None or value.shape != given.shape or not value.is_floating_point():
            form = "missing" if value is None else f"{value.dtype} {list(value.shape)}"
            raise Violation(f"weights(): {where} is {form}; it must be a floating-point tensor {list(given.shape)}")
    return tensors


def chosen(kinds: tuple[str, ...]) -> set[str]:
    return {name for kind in kinds for name in KINDS[kind]}


def has_few_values(values: torch.Tensor) -> bool:
    """At most a dozen different numbers, like scaled small integers: these may all lie on codes."""
    return bool(values.abs().unique().numel() <= 12)


def float32_bytes(weights: Mapping[str, Any], kinds: tuple[str, ...] = USUAL) -> tuple[float, float]:
    """Bytes in float32 of what stays, and of what is quantized."""
    sizes = [(name in chosen(kinds), 4.0 * value.numel()) for _, name, value in named(weights)]
    return sum(size for is_chosen, size in sizes if not is_chosen), sum(size for is_chosen, size in sizes if is_chosen)
