"""When weights are rounded: from the start of training, later, or at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Axes, Lesson, Measured, Object, Question, Relation, Setting
from reference_model.config import Config
from reference_model.lm_loss import lm_loss
from specs.shared.lesson_blocks import BLOCKS, LinearMap, embedded, plain, through
from specs.shared.lesson_text import VOCABULARY, cut, generator, training_text, validation_text, windows
from specs.shared.lesson_training import Recipe, fresh, named, train

LENGTH, BATCH, WIDTH, HEADS, LAYERS, STEPS = 32, 8, 32, 2, 2, 300
FLOAT = 16
"""What the schedule calls numbers that are not rounded."""
NEAR = 5
"""Steps on both sides of the switch that a spike is sought in."""


class Rounded:
    """The linear maps of a model, their weights on the codes of so many bits."""

    def __init__(self, setting: Setting, weights: dict[str, Any]) -> None:
        self.components, self.exact, self.weights = setting.components, plain(weights), weights
        self.held: dict[tuple[int, str, int], Object] = {}
        self.bits = FLOAT

    def __call__(self, layer: int, name: str, x: Tensor) -> Tensor:
        if self.bits == FLOAT:
            return self.exact(layer, name, x)
        key = (layer, name, self.bits)
        if key not in self.held:
            self.held[key] = self.components.build("fake_quantize", bits=self.bits, momentum=1.0, symmetric=True)
        block = self.weights["blocks"][layer]
        rounded = self.held[key].call("forward", x=block[name])
        return torch.nn.functional.linear(x, rounded, block[name.replace("weight", "bias")])


def loss_on(setting: Setting, weights: dict[str, Any], apply: LinearMap, ids: Tensor, targets: Tensor) -> Tensor:
    """The loss with these linear maps."""
    stream = through(setting.components, embedded(weights, ids), weights, HEADS, apply)
    return lm_loss(stream @ weights["token_embedding"].T, targets)


def arm(name: str, sentence: str, boundaries: Sequence[float], bits: Sequence[int]) -> Arm:
    """``loss``: on validation text, with the weights of the last width; ``8 bits`` ...: rounded at the end.

    ``spike``: the mean loss just after 40 % of the steps minus that before.
    """

    def run(setting: Setting) -> Measured:
        weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS), setting.seed)
        rounded, draws = Rounded(setting, weights), generator(setting.seed, 1)
        steps = setting.steps(STEPS)

        def loss(step: int) -> Tensor:
            rounded.bits = setting.components.call(
                "quantization_schedule", step=step, total_steps=steps, boundaries=boundaries, bits=bits
            )
            ids, targets = windows(training_text(), BATCH, LENGTH, draws)
            return loss_on(setting, weights, rounded, ids, targets)

        recipe = Recipe(steps, lr=1e-2, warmup=steps // 10)
        losses = train(setting.components, list(named(weights).values()), loss, recipe).losses
        ids, targets = windows(validation_text(), 128, LENGTH, generator(setting.seed, 99))
        values = {}
        with torch.no_grad():
            for label, width in (("loss", bits[-1]), ("8 bits", 8), ("4 bits", 4), ("2 bits", 2)):
                rounded.bits = width
                values[label] = cut(float(loss_on(setting, weights, rounded, ids, targets)))
        at = round(0.4 * steps)
        values["spike"] = (sum(losses[at : at + NEAR]) - sum(losses[at - NEAR : at])) / NEAR
        line = [(k + 5.0, sum(losses[k : k + 10]) / 10) for k in range(0, steps - 9, 10)]
        return Measured(values, {name: line})

    return Arm(name, sentence, run)


LESSON = Lesson(
    name="quantize-when",
    claim="Eight bits are free even after training; training in few bits from the start hurts, switching after a while "
    "does not; four bits need training.",
    source="DeepSpeed, Mixture of Quantization; Jacob et al. 2018; Dettmers et al. 2022 (LLM.int8())",
    setup="2 layers of width 32, weights of all linear maps on one symmetric range per matrix, gradients straight "
    "through; 300 steps of AdamW at a peak rate of 0.01",
    arms=(
        arm("float", "never rounded in training; rounded at the end for comparison", (), (FLOAT,)),
        arm("8 bits from the start", "rounded in every step", (), (8,)),
        arm("8 bits after 40 %", "rounded from 40 % of the steps on", (0.4,), (FLOAT, 8)),
        arm("4 bits from the start", "rounded in every step", (), (4,)),
        arm("4 bits after 40 %", "rounded from 40 % of the steps on", (0.4,), (FLOAT, 4)),
        arm("2 bits after 40 %", "the codes -1, 0 and 1 from 40 % of the steps on", (0.4,), (FLOAT, 2)),
    ),
    questions=(
        Question(
            "eight_bits_at_the_end_are_free",
            "Rounding to 8 bits after training costs nothing.",
            "validation loss in 8 bits minus that in float32, same weights",
            lambda arms: arms["float"]["8 bits"] - arms["float"]["loss"],
            0.02,
            relation=Relation.BELOW,
            decided_by=("fake_quantize",),
        ),
        Question(
            "eight_bits_from_the_start_hurt",
            "Training in 8 bits from the start ends higher than from 40 % on.",
            "validation loss from the start minus that from 40 % on",
            lambda arms: arms.difference("8 bits from the start", "8 bits after 40 %", "loss"),
            0.02,
        ),
        Question(
            "four_bits_at_the_end_cost",
            "Rounding to 4 bits after training costs loss.",
            "validation loss in 4 bits minus that in float32, same weights",
            lambda arms: arms["float"]["4 bits"] - arms["float"]["loss"],
            0.05,
            decided_by=("fake_quantize",),
        ),
        Question(
            "training_wins_four_bits_back",
            "Training in 4 bits from 40 % on ends lower than rounding at the end.",
            "validation loss rounded at the end minus that trained in 4 bits",
            lambda arms: arms["float"]["4 bits"] - arms["4 bits after 40 %"]["loss"],
            0.02,
            decided_by=("fake_quantize", "quantization_schedule"),
        ),
        Question(
            "four_bits_from_the_start_hurt",
            "Training in 4 bits from the start ends higher than from 40 % on.",
            "validation loss from the start minus that from 40 % on",
            lambda arms: arms.difference("4 bits from the start", "4 bits after 40 %", "loss"),
            0.02,
        ),
        Question(
            "two_bits_at_the_end_cost",
            "Rounding to 2 bits after training costs loss.",
            "validation loss in 2 bits minus that in float32, same weights",
            lambda arms: arms["float"]["2 bits"] - arms["float"]["loss"],
            0.05,
            decided_by=("fake_quantize",),
        ),
        Question(
            "training_wins_two_bits_back",
            "Training in 2 bits from 40 % on ends lower than rounding at the end.",
            "validation loss rounded at the end minus that trained in 2 bits",
            lambda arms: arms["float"]["2 bits"] - arms["2 bits after 40 %"]["loss"],
            0.02,
            decided_by=("fake_quantize", "quantization_schedule"),
        ),
        Question(
            "the_switch_makes_a_spike",
            "The loss jumps where 4 bits begin.",
            "mean loss of 5 steps after the switch minus that of 5 before, less the same without a switch",
            lambda arms: arms["4 bits after 40 %"]["spike"] - arms["float"]["spike"],
            0.05,
        ),
    ),
    axes=Axes("step", "training loss (nats)"),
    components=("fake_quantize", "quantization_schedule", *BLOCKS, "adamw", "clip_grad_norm", "lr_schedule"),
    caveat="One range per matrix, activations in float32. Ranges per row or per block, as GPTQ and NF4 have them, lose "
    "less.",
)
