"""What becomes of rounding, and of one wrong part, on the way through the layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Components, Lesson, Measured, Question, Setting
from reference_model.config import Config
from specs.shared.lesson_text import VOCABULARY, generator, training_text, windows
from specs.shared.lesson_training import fresh, named

LENGTH, BATCH, WIDTH, HEADS, LAYERS = 32, 8, 32, 2, 16
DEPTHS = (1, 2, 4, 8, 16)
WRONG = 1.1
"""The first layer's feed-forward output is a tenth too large."""


def streams(components: Components, ids: Tensor, weights: dict[str, Any], heads: int) -> list[Tensor]:
    """The stream behind each block, in the dtype of the weights."""
    found = [weights["token_embedding"][ids] + weights["position_embedding"][: ids.shape[1]]]
    for layer in weights["blocks"]:
        found.append(components.call("block", x=found[-1], weights=layer, n_heads=heads))
    return found[1:]


def cast(weights: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Weights in another dtype."""
    blocks = [{name: value.to(dtype) for name, value in layer.items()} for layer in weights["blocks"]]
    rest = {name: value.to(dtype) for name, value in weights.items() if name != "blocks"}
    return {**rest, "blocks": blocks}


def errors(found: Sequence[Tensor], exact: Sequence[Tensor]) -> dict[str, float]:
    """The relative error behind so many layers."""
    return {
        str(depth): float((found[depth - 1].double() - exact[depth - 1]).norm() / exact[depth - 1].norm())
        for depth in DEPTHS
    }


def arm(name: str, sentence: str, change: Callable[[dict[str, Any]], dict[str, Any]], std: float) -> Arm:
    """Relative errors by depth, of a model whose weights are changed, beside the exact one in float64.

    Both have the weights that the change rounds, where it rounds.
    """

    @torch.no_grad()
    def run(setting: Setting) -> Measured:
        weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS), setting.seed, std)
        for tensor in named(weights).values():
            tensor.copy_(tensor.bfloat16())
        ids, _ = windows(training_text(), BATCH, LENGTH, generator(setting.seed, 1))
        exact = streams(setting.components, ids, cast(weights, torch.float64), HEADS)
        found = errors(streams(setting.components, ids, change(weights), HEADS), exact)
        return Measured(found, {name: [(int(depth), error) for depth, error in found.items()]})

    return Arm(name, sentence, run)


def in_bfloat16(weights: dict[str, Any]) -> dict[str, Any]:
    """Every operation rounded to 8 bits of mantissa."""
    return cast(weights, torch.bfloat16)


def with_a_wrong_layer(weights: dict[str, Any]) -> dict[str, Any]:
    """The first layer's feed-forward part is a tenth too strong, everything else exact."""
    exact = cast(weights, torch.float64)
    first = {**exact["blocks"][0], "down_weight": exact["blocks"][0]["down_weight"] * WRONG}
    return {**exact, "blocks": [first, *exact["blocks"][1:]]}


def exponent(arms: Arms, name: str) -> float:
    """Of the error over the depth, by least squares of the logarithms."""
    xs = [math.log(depth) for depth in DEPTHS]
    ys = [math.log(max(arms[name][str(depth)], 1e-12)) for depth in DEPTHS]
    mean = sum(xs) / len(xs)
    return sum((x - mean) * y for x, y in zip(xs, ys, strict=True)) / sum((x - mean) ** 2 for x in xs)


LARGE = 3 * math.sqrt(768 / WIDTH)
LESSON = Lesson(
    name="depth-noise",
    claim="Errors compound through depth: rounding, and any wrong layer near the input, grow layer by layer until they "
    "swamp the output.",
    source="repeated of deep networks in general; Bondarenko et al. 2021 for quantized transformers",
    setup="16 untrained layers of width 32, 8 x 32 characters; relative error of the stream behind 1, 2, 4, 8 and 16 "
    "layers, beside float64 with the same weights",
    arms=(
        arm("bfloat16", "every operation in bfloat16", in_bfloat16, math.sqrt(768 / WIDTH)),
        arm("bfloat16, large weights", "the same with three times as large weights", in_bfloat16, LARGE),
        arm("a wrong first layer", "its feed-forward part 10 % too strong", with_a_wrong_layer, math.sqrt(768 / WIDTH)),
    ),
    questions=(
        Question(
            "rounding_grows",
            "The error of bfloat16 grows with depth.",
            "exponent of the relative error over the number of layers",
            lambda arms: exponent(arms, "bfloat16"),
            0.1,
            unit="",
        ),
        Question(
            "rounding_compounds",
            "It compounds: the error grows faster than the number of layers.",
            "exponent of the relative error over the number of layers",
            lambda arms: exponent(arms, "bfloat16"),
            1.0,
            unit="",
        ),
        Question(
            "rounding_compounds_with_large_weights",
            "With large weights it grows faster than the number of layers.",
            "exponent of the relative error over the number of layers",
            lambda arms: exponent(arms, "bfloat16, large weights"),
            1.0,
            unit="",
        ),
        Question(
            "a_wrong_layer_is_amplified",
            "The error of a wrong first layer grows on its way to the output.",
            "exponent of the relative error over the number of layers",
            lambda arms: exponent(arms, "a wrong first layer"),
            0.1,
            unit="",
        ),
    ),
    axes=Axes("layers", "relative error of the stream", log_across=True, log_up=True),
    components=("block",),
    caveat="Pre-norm blocks add to a stream, so that a part of every error is passed on unchanged. Without residual "
    "connections errors multiply.",
)
