"""Ranges of activations, what rounding them costs, and how gradients pass, layer by layer."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Relation, Setting
from reference_model.config import Config
from reference_model.lm_loss import lm_loss
from specs.shared.lesson_blocks import BLOCKS, embedded, plain, through
from specs.shared.lesson_text import VOCABULARY, generator, training_text, validation_text, windows
from specs.shared.lesson_training import Recipe, fresh, named, text_loss, train

LENGTH, BATCH, WIDTH, HEADS, LAYERS, STEPS = 32, 8, 32, 2, 6, 200
BITS = 4


@lru_cache(maxsize=2)
def trained(setting: Setting) -> dict[str, Any]:
    """A model of six layers, the same for every arm of a seed."""
    weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS), setting.seed)
    loss = text_loss(setting, weights, HEADS, training_text(), BATCH, LENGTH)
    steps = setting.steps(STEPS)
    train(setting.components, list(named(weights).values()), loss, Recipe(steps, lr=1e-2, warmup=steps // 10))
    return weights


def looked_at(setting: Setting, rounded: tuple[int, ...]) -> tuple[float, list[float], list[float]]:
    """Loss, largest activation behind each layer, and norm of each layer's gradient, with the streams behind some
    layers rounded to 4 bits, gradients straight through."""
    weights, ranges = trained(setting), dict[int, float]()
    codes = {at: setting.components.build("fake_quantize", bits=BITS, momentum=1.0) for at in rounded}

    def after(layer: int, stream: Tensor) -> Tensor:
        ranges[layer] = float(stream.detach().abs().max())
        found: Tensor = codes[layer].call("forward", x=stream) if layer in codes else stream
        return found

    ids, targets = windows(validation_text(), 64, LENGTH, generator(setting.seed, 99))
    stream = through(setting.components, embedded(weights, ids), weights, HEADS, plain(weights), after=after)
    loss = lm_loss(stream @ weights["token_embedding"].T, targets)
    names = ("qkv_weight", "out_weight", "up_weight", "down_weight")
    tensors = [block[name] for block in weights["blocks"] for name in names]
    grads = torch.autograd.grad(loss, tensors)
    by_layer = [grads[at : at + len(names)] for at in range(0, len(grads), len(names))]
    norms = [math.sqrt(sum(float(grad.square().sum()) for grad in layer)) for layer in by_layer]
    return float(loss.detach()), [ranges[at] for at in range(LAYERS)], norms


def unrounded(setting: Setting) -> Measured:
    """``growth``: the last layer's range over the first's; gradients by layer."""
    loss, ranges, norms = looked_at(setting, ())
    line = [(at + 1.0, value) for at, value in enumerate(ranges)]
    values = {"loss": loss, "growth": ranges[-1] / ranges[0], "first": norms[0], "last": norms[-1]}
    return Measured(values, {"largest activation": line})


def all_rounded(setting: Setting) -> Measured:
    """Every layer's stream rounded."""
    loss, _, norms = looked_at(setting, tuple(range(LAYERS)))
    return Measured({"loss": loss, "first": norms[0], "last": norms[-1]})


def one_rounded(setting: Setting) -> Measured:
    """The loss with one layer's stream rounded at a time."""
    losses = [looked_at(setting, (at,))[0] for at in range(LAYERS)]
    return Measured({f"layer {at + 1}": loss for at, loss in enumerate(losses)})


def flow(arms: Arms, name: str) -> float:
    """The first layer's gradient over the last's."""
    return arms[name]["first"] / arms[name]["last"]


LESSON = Lesson(
    name="activation-range",
    claim="Activations grow with depth, so the late layers suffer most when they are quantized, and gradients fade on "
    "their way back through quantized layers.",
    source="Bondarenko et al. 2021; Dettmers et al. 2022 (LLM.int8()); Bengio et al. 2013 (straight-through)",
    setup="6 layers of width 32 trained for 200 steps; then the stream behind one layer or all of them in 4 bits, one "
    "range per tensor, gradients straight through",
    arms=(
        Arm("float", "nothing is rounded", unrounded),
        Arm("4 bits", "the stream behind every layer is rounded", all_rounded),
        Arm("4 bits, one layer", "the stream behind one layer at a time is rounded", one_rounded),
    ),
    questions=(
        Question(
            "ranges_grow",
            "The largest activation behind the last layer is larger than behind the first.",
            "last layer's largest activation over the first's",
            lambda arms: arms["float"]["growth"],
            1.2,
            unit="times",
        ),
        Question(
            "rounding_costs",
            "Rounding every layer's stream to 4 bits costs loss.",
            "validation loss in 4 bits minus that in float32",
            lambda arms: arms.difference("4 bits", "float", "loss"),
            0.02,
            decided_by=("fake_quantize",),
        ),
        Question(
            "late_layers_suffer_most",
            "Rounding the last layer's stream costs more than rounding the first's.",
            "validation loss with the last layer rounded minus that with the first",
            lambda arms: arms["4 bits, one layer"][f"layer {LAYERS}"] - arms["4 bits, one layer"]["layer 1"],
            0.01,
        ),
        Question(
            "gradients_fade",
            "In the quantized model the first layer gets a smaller share of the gradient.",
            "first layer's gradient over the last's, 4 bits over float32",
            lambda arms: flow(arms, "4 bits") / flow(arms, "float"),
            0.8,
            unit="times",
            relation=Relation.BELOW,
        ),
    ),
    axes=Axes("layer", "largest activation of the stream"),
    components=("fake_quantize", *BLOCKS, "block", "adamw", "clip_grad_norm", "lr_schedule"),
    caveat="The outliers of large models, which make their activations hard to quantize, do not form at this size.",
)
