"""Clipping, warm-up and weight decay, taken away one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Relation, Setting
from reference_model.config import Config
from specs.shared import lesson_trainer
from specs.shared.lesson_text import VOCABULARY, training_text, validation_text
from specs.shared.lesson_training import COMPONENTS, Recipe, Trained, evaluate, fresh, named, text_loss, train

LENGTH, BATCH, HEADS = 32, 8, 2
STEPS, SPOILED = 200, 1000.0
LARGE = 5.0
"""The other initial weights: five times GPT-2's."""
SMALL_DATA, LONG, OFTEN = 1500, 400, 10
"""Characters that a model of 27,000 parameters can learn by heart, the steps it takes, and steps per evaluation."""


def trained(setting: Setting, recipe: Recipe, spoiled: bool = False, scale: float = 1.0) -> Trained:
    """One run on much text. ``spoiled``: the gradients of the middle step are 1000 times as large."""
    weights = fresh(Config(VOCABULARY, LENGTH, 32, HEADS, 2), setting.seed, scale)
    loss = text_loss(setting, weights, HEADS, training_text(), BATCH, LENGTH)
    middle = recipe.steps // 2
    spoil: Any = lambda step: SPOILED if spoiled and step == middle else 1.0  # noqa: E731
    return train(setting.components, list(named(weights).values()), loss, recipe, spoil)


def overfitted(setting: Setting, recipe: Recipe) -> list[tuple[float, float]]:
    """Validation losses (step, loss) of a run on little text."""
    weights = fresh(Config(VOCABULARY, LENGTH, 32, HEADS, 2), setting.seed, 1.0)
    start = setting.seed * 3 * SMALL_DATA
    data = training_text()[start : start + SMALL_DATA]
    loss = text_loss(setting, weights, HEADS, data, BATCH, LENGTH)
    found: list[tuple[float, float]] = []

    def after(step: int) -> None:
        if (step + 1) % OFTEN == 0:
            found.append((step + 1, evaluate(setting, weights, HEADS, validation_text(), LENGTH)))

    train(setting.components, list(named(weights).values()), loss, recipe, after=after)
    return found


def full(setting: Setting) -> Recipe:
    """Everything that the claim asks for."""
    steps = setting.steps(STEPS)
    return Recipe(steps, lr=1e-2, warmup=steps // 10)


def arm(name: str, sentence: str, spoiled: bool = False, scale: float = 1.0, **changes: Any) -> Arm:
    """A run with some settings of the full recipe changed."""

    def run(setting: Setting) -> Measured:
        done = trained(setting, replace(full(setting), **changes), spoiled, scale)
        return Measured({"late": done.late()}, {} if scale != 1.0 else {name: smoothed(done.losses)})

    return Arm(name, sentence, run)


def overfitting_arm(name: str, sentence: str, **changes: Any) -> Arm:
    """A run on little text. ``turn``: after which share of the steps the validation loss is lowest, in percent."""

    def run(setting: Setting) -> Measured:
        steps = setting.steps(LONG)
        line = overfitted(setting, replace(full(setting), steps=steps, warmup=steps // 10, **changes))
        turn = min(line, key=lambda point: point[1])[0]
        return Measured({"turn": 100 * turn / steps, "last": line[-1][1]})

    return Arm(name, sentence, run)


def trainer(setting: Setting) -> Measured:
    """A trainer's own run."""
    steps = setting.steps(lesson_trainer.STEPS)
    return Measured(lesson_trainer.damage(setting.components, setting.seed, steps))


def smoothed(losses: list[float], width: int = 10) -> list[tuple[float, float]]:
    """Means over pieces of a curve, at their middles."""
    pieces = [(at, losses[at : at + width]) for at in range(0, len(losses), width)]
    return [(at + len(piece) / 2, sum(piece) / len(piece)) for at, piece in pieces]


def sensitivity(arms: Arms, name: str) -> float:
    """How far apart two scales of initial weights end."""
    return abs(arms.difference(name, f"{name}, large weights", "late"))


LESSON = Lesson(
    name="recipe",
    claim="Clipping, warm-up and weight decay are each needed: without one, training spikes, depends on the initial "
    "weights, or overfits earlier.",
    source="Pascanu et al. 2013 (clipping); Goyal et al. 2017 (warm-up); Loshchilov & Hutter 2019 (decay); the recipe "
    "of GPT-3, Brown et al. 2020, appendix B",
    setup="2 layers of width 32, 33 characters, batches of 8 x 32, AdamW at a peak rate of 0.01, 200 steps (400 on "
    "1500 characters for weight decay); a spoiled step has gradients 1000 times as large",
    arms=(
        arm("full recipe", "clipping at 1, warm-up over a tenth of the steps, decay of 0.1"),
        arm("no clipping", "the same without clipping", clip=0.0),
        arm("no warm-up", "the same without warm-up", warmup=0),
        arm("full recipe, spoiled step", "one step with gradients 1000 times as large", spoiled=True),
        arm("no clipping, spoiled step", "the same without clipping", spoiled=True, clip=0.0),
        arm("full recipe, large weights", "five times as large initial weights", scale=LARGE),
        arm("no warm-up, large weights", "the same without warm-up", scale=LARGE, warmup=0),
        overfitting_arm("little text", "the full recipe on 1500 characters"),
        overfitting_arm("little text, no decay", "the same without weight decay", decay=0.0),
        Arm("trainer", "a whole training run that clips by itself; with and without a spoiled step", trainer),
    ),
    questions=(
        Question(
            "clipping_after_a_spoiled_step",
            "Without clipping, one step with huge gradients costs loss at the end.",
            "late loss without clipping minus with it, after a spoiled step",
            lambda arms: arms.difference("no clipping, spoiled step", "full recipe, spoiled step", "late"),
            0.1,
            decided_by=("clip_grad_norm",),
        ),
        Question(
            "clipping_on_clean_data",
            "Clipping helps without any spoiled step.",
            "late loss without clipping minus with it",
            lambda arms: arms.difference("no clipping", "full recipe", "late"),
            0.02,
        ),
        Question(
            "warm_up",
            "Without warm-up the loss ends higher.",
            "late loss without warm-up minus with it",
            lambda arms: arms.difference("no warm-up", "full recipe", "late"),
            0.05,
            decided_by=("lr_schedule",),
        ),
        Question(
            "warm_up_and_initial_weights",
            "Without warm-up the loss depends more on the scale of the initial weights.",
            "difference between two initial scales without warm-up minus that with it",
            lambda arms: sensitivity(arms, "no warm-up") - sensitivity(arms, "full recipe"),
            0.05,
            decided_by=("lr_schedule",),
        ),
        Question(
            "decay_delays_overfitting",
            "Without weight decay the validation loss turns earlier.",
            "how much later it turns with decay, of all steps",
            lambda arms: arms.difference("little text", "little text, no decay", "turn"),
            5.0,
            unit="%",
        ),
        Question(
            "decay_lowers_validation_loss",
            "Without weight decay the validation loss ends higher.",
            "last validation loss without decay minus with it",
            lambda arms: arms.difference("little text, no decay", "little text", "last"),
            0.02,
        ),
        Question(
            "trainer_survives_a_spoiled_step",
            "Clipping is wired into the trainer: a spoiled step costs it little.",
            "late loss after a spoiled step minus without one",
            lambda arms: arms["trainer"]["kept"],
            0.1,
            relation=Relation.BELOW,
            decided_by=("trainer",),
        ),
        Question(
            "trainer_without_clipping_does_not",
            "With its clipping taken away, the same step costs the trainer loss.",
            "late loss after a spoiled step, without clipping, minus without one",
            lambda arms: arms["trainer"]["removed"],
            0.1,
            decided_by=("trainer",),
        ),
    ),
    axes=Axes("step", "training loss (nats)"),
    components=(*COMPONENTS, "trainer"),
    caveat="Adam divides by the size of past gradients, so a rate that is too high shows as slow learning, not as "
    "overflow; plain gradient descent diverges instead.",
)
