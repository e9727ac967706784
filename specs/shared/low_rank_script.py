"""The calls of the two low-rank adapters, and scripts made of them."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import Call, Case
from harness.core.claim import Trial
from harness.core.contract import Argument, Signature

BASE = ("base", "base_layer", "linear", "original", "original_layer", "proj", "weight_layer")
DOWN = ("lora_A", "lora_a", "lora_A.default", "lora_A.0", "lora.A", "A", "lora_down", "lora.lora_A", "adapter.A")
UP = ("lora_B", "lora_b", "lora_B.default", "lora_B.0", "lora.B", "B", "lora_up", "lora.lora_B", "adapter.B")


def leaves(owners: tuple[str, ...], leaf: str) -> tuple[str, ...]:
    return tuple(f"{owner}.{leaf}" for owner in owners)


CALLS = {
    "build": Signature(
        (
            Argument("weight", "float[out_features, in_features]", "parameter", aliases=leaves(BASE, "weight")),
            Argument("bias", "float[out_features]", "parameter", True, aliases=leaves(BASE, "bias")),
            Argument("rank", "int", "setting"),
            Argument("alpha", "float", "setting"),
            Argument("dropout", "float", "setting", optional=True, default=0.0),
        ),
        "the layer",
    ),
    "load": Signature(
        (
            Argument("a", "float[rank, in_features]", "parameter", aliases=(*DOWN, *leaves(DOWN, "weight"))),
            Argument("b", "float[out_features, rank]", "parameter", aliases=(*UP, *leaves(UP, "weight"))),
        ),
        "nothing",
    ),
    "forward": Signature((Argument("x", "float[..., in_features]"),), "float[..., out_features]"),
    "merge": Signature((), "nothing"),
    "unmerge": Signature((), "nothing"),
    "parameters": Signature((), "{a: float[rank, in_features], b: float[out_features, rank]}"),
    "train": Signature((), "nothing"),
    "eval": Signature((), "nothing"),
}
OPTIONAL_METHODS = frozenset({"merge", "unmerge", "train", "eval"})

MERGE, UNMERGE, PARAMETERS = Call("merge", {}), Call("unmerge", {}), Call("parameters", {})
TRAIN, EVAL = Call("train", {}), Call("eval", {})


def script(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    alpha: float,
    a: torch.Tensor,
    b: torch.Tensor,
    x: torch.Tensor,
    family: str,
    **sizes: int,
) -> Case:
    """build, load, forward."""
    calls = (
        Call("build", {"weight": weight, "bias": bias, "rank": a.shape[0], "alpha": alpha}),
        Call("load", {"a": a, "b": b}),
        Call("forward", {"x": x}),
    )
    return Case(calls, sizes, family)


def changed(case: Case, method: str, **arguments: object) -> Case:
    """The same script with other arguments in its calls of one method."""
    calls = (Call(c.method, {**c.arguments, **arguments}) if c.method == method else c for c in case.calls)
    return replace(case, calls=tuple(calls))


def other_values(case: Case) -> Call:
    """A second load with other matrices of the same shapes."""
    arguments = case.calls[1].arguments
    return Call("load", {"a": 0.25 - 1.5 * arguments["a"], "b": 0.1 + 0.7 * arguments["b"].flip(0)})


def with_calls(case: Case, *calls: Call) -> Case:
    return replace(case, calls=calls)


def same_out(trial: Trial, one: Case, other: Case, what: str) -> None:
    """The last output of two scripts, each the implementation's own, within what rounding explains of both."""
    bound = trial.agreement(one)[1].value + trial.agreement(other)[1].value
    trial.close(trial.run(one).value, trial.run(other).value, 2 * bound, what)
