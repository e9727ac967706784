"""One table for the embedding and the head, or two."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Kind, Lesson, Measured, Question, Setting
from reference_model.config import Config
from specs.shared.lesson_text import VOCABULARY, generator, training_text, validation_text
from specs.shared.lesson_training import COMPONENTS, Recipe, evaluate, fresh, named, text_loss, train

LENGTH, BATCH, HEADS, STEPS = 16, 8, 2, 200
WIDTHS = (16, 64)
PAIRS = VOCABULARY**2


@cache
def pairs(is_validation: bool) -> Tensor:
    """The text in pairs of characters: a vocabulary of 1089."""
    data = validation_text() if is_validation else training_text()
    even = data[: len(data) // 2 * 2].view(-1, 2)
    return even[:, 0] * VOCABULARY + even[:, 1]


def arm(is_tied: bool, width: int, is_small: bool = False) -> Arm:
    """``loss``: on validation text; ``numbers``: how many are trained. ``is_small``: weights begin at 0.02."""
    name = f"{'tied' if is_tied else 'untied'}, width {width}{', weights of 0.02' if is_small else ''}"

    def run(setting: Setting) -> Measured:
        weights = fresh(Config(PAIRS, LENGTH, width, HEADS, 1), setting.seed, 1.0 if is_small else None)
        if not is_tied:
            std = weights["token_embedding"].std()
            weights["head_weight"] = std * torch.randn(PAIRS, width, generator=generator(setting.seed, 8))
        tensors = list(named(weights).values())
        loss = text_loss(setting, weights, HEADS, pairs(False), BATCH, LENGTH)
        steps = setting.steps(STEPS)
        line: list[tuple[float, float]] = []

        def after(step: int) -> None:
            if (step + 1) % (steps // 4) == 0:
                line.append((step + 1, evaluate(setting, weights, HEADS, pairs(True), LENGTH)))

        train(setting.components, tensors, loss, Recipe(steps, lr=1e-2, warmup=steps // 10), after=after)
        numbers = sum(tensor.numel() for tensor in tensors)
        return Measured({"loss": line[-1][1], "numbers": numbers}, {} if is_small else {name: line})

    return Arm(name, "the head is the embedding" if is_tied else "the head has a table of its own", run)


def saved(arms: Arms, width: int) -> float:
    """Share of the untied model's parameters, in percent."""
    return 100 * (1 - arms[f"tied, width {width}"]["numbers"] / arms[f"untied, width {width}"]["numbers"])


def lower(arms: Arms, which: str) -> float:
    """How much lower the tied model's validation loss is."""
    return arms.difference(f"untied, {which}", f"tied, {which}", "loss")


LESSON = Lesson(
    name="tying",
    claim="Tying the head to the embedding saves a large share of the parameters and lowers the validation loss.",
    source="Press & Wolf 2017, Using the Output Embedding to Improve Language Models",
    setup="1 layer of width 16 or 64, a vocabulary of 1089 pairs of characters, batches of 8 x 16, 200 steps of AdamW "
    "at a peak rate of 0.01; initial weights of 0.02 times the root of 768 / width unless it says otherwise",
    arms=tuple(arm(tied, width, small) for small in (False, True) for width in WIDTHS for tied in (True, False)),
    questions=(
        Question(
            "it_saves_a_fifth_at_width_16",
            "At width 16 tying saves at least a fifth of the parameters.",
            "share saved",
            lambda arms: saved(arms, 16),
            20.0,
            unit="%",
            kind=Kind.EXACT,
        ),
        Question(
            "it_saves_a_fifth_at_width_64",
            "At width 64 tying saves at least a fifth of the parameters.",
            "share saved",
            lambda arms: saved(arms, 64),
            20.0,
            unit="%",
            kind=Kind.EXACT,
        ),
        Question(
            "it_does_no_harm_at_width_16",
            "At width 16 the tied model's validation loss is no higher.",
            "validation loss untied minus tied",
            lambda arms: lower(arms, "width 16"),
            -0.02,
        ),
        Question(
            "it_does_no_harm_at_width_64",
            "At width 64 the tied model's validation loss is no higher.",
            "validation loss untied minus tied",
            lambda arms: lower(arms, "width 64"),
            -0.02,
        ),
        Question(
            "it_helps",
            "The tied model's validation loss is lower, mean over both widths.",
            "validation loss untied minus tied",
            lambda arms: (lower(arms, "width 16") + lower(arms, "width 64")) / 2,
            0.02,
        ),
        Question(
            "it_helps_whatever_the_initial_weights",
            "The tied model's validation loss is lower with initial weights of 0.02 too.",
            "validation loss untied minus tied, mean over both widths, GPT-2's 0.02 at these widths",
            lambda arms: (lower(arms, "width 16, weights of 0.02") + lower(arms, "width 64, weights of 0.02")) / 2,
            0.02,
        ),
    ),
    axes=Axes("step", "validation loss (nats)"),
    components=COMPONENTS,
    caveat="The share that tying saves is V D of all parameters: it falls with depth and width. 200 steps are the "
    "early phase of training; the gap in loss may close later.",
)
