"""When a model begins to continue what it has seen before: layers, width and steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Axes, Lesson, Measured, Question, Setting
from reference_model.config import Config
from specs.shared.lesson_blocks import BLOCKS, plain, through
from specs.shared.lesson_text import generator
from specs.shared.lesson_training import Recipe, fresh, named, train

LETTERS, LENGTH, HEADS, BATCH, STEPS = 16, 24, 2, 16, 800
SHORTEST, LONGEST = 6, 12
POINTS = 32
"""Measurements over a run."""
TESTS = 128


def repeated(count: int, draws: torch.Generator) -> Tensor:
    """Random letters that repeat after 6 to 12 places, another number in each row.  -> [B, T]"""
    letters = torch.randint(0, LETTERS, (count, LENGTH), generator=draws)
    period = torch.randint(SHORTEST, LONGEST + 1, (count, 1), generator=draws)
    return letters.gather(1, torch.arange(LENGTH) % period)


def scores(setting: Setting, weights: dict[str, Any], ids: Tensor) -> Tensor:
    """Logits of the letters that come next, with rotary positions, behind the first repetition.  -> [B, 11, V]"""
    places = torch.arange(LENGTH - 1)
    table: Tensor = weights["token_embedding"]

    def turn(x: Tensor) -> Tensor:
        found: Tensor = setting.components.call("rope", x=x, positions=places)
        return found

    stream = through(setting.components, table[ids[:, :-1]], weights, HEADS, plain(weights), turn)
    return stream[:, LONGEST:] @ table.T


def arm(layers: int, width: int) -> Arm:
    """``accuracy`` at the end; ``jump`` and ``slide``: the largest rise of accuracy and fall of loss in a tenth of the
    steps, in percent of the whole."""
    name = f"{layers} layer{'s' if layers > 1 else ''}, width {width}"

    def run(setting: Setting) -> Measured:
        weights = fresh(Config(LETTERS, LENGTH, width, HEADS, layers), setting.seed)
        tensors = [tensor for key, tensor in named(weights).items() if key != "position_embedding"]
        draws, steps = generator(setting.seed, 1), setting.steps(STEPS)
        tests, often = repeated(TESTS, generator(setting.seed, 99)), max(1, steps // POINTS)
        accuracy, losses = list[float](), list[float]()

        def loss_on(ids: Tensor) -> tuple[Tensor, Tensor]:
            found = scores(setting, weights, ids)
            right = ids[:, LONGEST + 1 :]
            return torch.nn.functional.cross_entropy(found.transpose(1, 2), right), found.argmax(-1) == right

        def after(step: int) -> None:
            if step % often == 0:
                with torch.no_grad():
                    loss, right = loss_on(tests)
                accuracy.append(100 * float(right.double().mean()))
                losses.append(float(loss))

        recipe = Recipe(steps, lr=1e-2, warmup=steps // 20)
        train(setting.components, tensors, lambda step: loss_on(repeated(BATCH, draws))[0], recipe, after=after)
        values = {
            "accuracy": accuracy[-1],
            "jump": largest_share(accuracy),
            "slide": largest_share([-loss for loss in losses]),
        }
        return Measured(values, {name: [(at * often, value) for at, value in enumerate(accuracy)]})

    return Arm(name, "attention and feed-forward layers with rotary positions", run)


def largest_share(values: list[float]) -> float:
    """The largest rise within a tenth of the values, in percent of the rise from the least to the largest."""
    apart = max(1, round(len(values) / 10))
    rises = [later - earlier for earlier, later in zip(values, values[apart:], strict=False)]
    whole = max(values) - min(values)
    return 100 * max(rises) / whole if whole > 0 else 0.0


LARGE, NARROW, SHALLOW = "2 layers, width 32", "2 layers, width 16", "1 layer, width 32"

LESSON = Lesson(
    name="threshold",
    claim="The skill of continuing a repeated sequence needs two layers, comes suddenly in training, and is "
    "better in a wider model, while the loss falls smoothly.",
    source="Olsson et al. 2022, In-context Learning and Induction Heads; Wei et al. 2022 (emergence), doubted by "
    "Schaeffer et al. 2023",
    setup="16 random letters that repeat after 6 to 12 places, 24 at a time, batches of 16, 800 steps at a peak rate "
    "of 0.01; accuracy behind the first repetition, where guessing gets 6 %",
    arms=(arm(1, 32), arm(2, 16), arm(2, 32)),
    questions=(
        Question(
            "it_needs_two_layers",
            "Two layers do it much better than one.",
            "final accuracy with two layers minus that with one, width 32",
            lambda arms: arms.difference(LARGE, SHALLOW, "accuracy"),
            20.0,
            unit="points",
            decided_by=("rope",),
        ),
        Question(
            "it_comes_suddenly",
            "More than half of the accuracy comes within a tenth of the steps.",
            "largest rise in a tenth of the steps, of the whole rise",
            lambda arms: arms[LARGE]["jump"],
            50.0,
            unit="%",
        ),
        Question(
            "the_loss_falls_smoothly",
            "The loss falls more evenly than the accuracy rises.",
            "largest share in a tenth of the steps, accuracy minus loss",
            lambda arms: arms[LARGE]["jump"] - arms[LARGE]["slide"],
            5.0,
            unit="points",
        ),
        Question(
            "a_wider_model_is_better",
            "Width 32 ends better than width 16.",
            "final accuracy of width 32 minus that of width 16, two layers",
            lambda arms: arms.difference(LARGE, NARROW, "accuracy"),
            5.0,
            unit="points",
        ),
    ),
    axes=Axes("step", "accuracy (%)"),
    components=("rope", *BLOCKS, "adamw", "clip_grad_norm", "lr_schedule"),
    caveat="One task and two widths. A threshold in accuracy can come from the measure: the probability of the right "
    "letter may rise smoothly below it.",
)
