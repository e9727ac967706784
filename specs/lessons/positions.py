"""Learned, sinusoidal, rotary and no positions, within the trained length and beyond it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Relation, Setting
from reference_model.config import Config
from specs.shared.lesson_blocks import BLOCKS, plain, through
from specs.shared.lesson_text import GUESSING, VOCABULARY, generator, training_text, validation_text, windows
from specs.shared.lesson_training import Recipe, fresh, named, train

LENGTH, LONGER, BATCH, WIDTH, HEADS, STEPS = 32, 64, 8, 32, 2, 300
LITTLE = 3000
SIZE = 0.1
"""Of the waves, as large as the embeddings: Vaswani et al. multiply the embeddings instead."""
PIECE = 8
"""Positions that share a point of the plot."""


def forward(setting: Setting, kind: str, weights: dict[str, Any], ids: Tensor) -> Tensor:
    """Logits with one kind of positions.  -> [B, T, V]"""
    components, places = setting.components, torch.arange(ids.shape[1])
    stream = weights["token_embedding"][ids]
    if kind == "learned":
        stream = stream + components.call("learned_positions", positions=places, weight=weights["position_embedding"])
    elif kind == "sinusoidal":
        stream = stream + SIZE * components.call("sinusoidal_positions", positions=places, width=WIDTH)
    turn = (lambda x: components.call("rope", x=x, positions=places)) if kind == "rotary" else (lambda x: x)
    found: Tensor = through(components, stream, weights, HEADS, plain(weights), turn) @ weights["token_embedding"].T
    return found


def by_position(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean loss at each position.  -> [T]"""
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(0)


def arm(kind: str, sentence: str, is_little: bool = False) -> Arm:
    """``within``: validation loss at positions 16 to 31; ``beyond``: at 32 to 63, never trained."""
    name = kind + (", little text" if is_little else "")

    def run(setting: Setting) -> Measured:
        weights = fresh(Config(VOCABULARY, LONGER, WIDTH, HEADS, 2), setting.seed)
        start = setting.seed * LITTLE
        data = training_text()[start : start + LITTLE] if is_little else training_text()
        draws = generator(setting.seed, 1)

        def loss(step: int) -> Tensor:
            ids, targets = windows(data, BATCH, LENGTH, draws)
            return by_position(forward(setting, kind, weights, ids), targets).mean()

        steps = setting.steps(STEPS)
        tensors = named(weights)
        if kind != "learned":
            del tensors["position_embedding"]
        train(setting.components, list(tensors.values()), loss, Recipe(steps, lr=1e-2, warmup=steps // 10))
        ids, targets = windows(validation_text(), 128, LONGER, generator(setting.seed, 99))
        with torch.no_grad():
            found = by_position(forward(setting, kind, weights, ids), targets).clamp(max=2 * GUESSING)
        line = [(at + PIECE / 2, float(found[at : at + PIECE].mean())) for at in range(0, LONGER, PIECE)]
        values = {"within": float(found[LENGTH // 2 : LENGTH].mean()), "beyond": float(found[LENGTH:].mean())}
        return Measured(values, {} if is_little else {name: line})

    return Arm(name, sentence, run)


def harm(arms: Arms, name: str) -> float:
    """How much the loss rises beyond the trained length."""
    return arms[name]["beyond"] - arms[name]["within"]


LESSON = Lesson(
    name="positions",
    claim="Rotary and sinusoidal positions carry on beyond the trained length, where learned ones fail, and rotary "
    "ones learn more from little text.",
    source="Vaswani et al. 2017, section 3.5; Su et al. 2021 (RoFormer); denied by Press et al. 2022 (ALiBi)",
    setup="2 layers of width 32 trained on 32 characters at a time, read to 64; batches of 8, 300 steps at a peak rate "
    "of 0.01; little text is 3000 characters",
    arms=(
        arm("learned", "a table with a row for each position; rows beyond 32 are never trained"),
        arm("sinusoidal", "fixed waves added to the embeddings"),
        arm("rotary", "queries and keys turned by their position"),
        arm("learned", "the same table, trained on 3000 characters", is_little=True),
        arm("rotary", "the same rotation, trained on 3000 characters", is_little=True),
    ),
    questions=(
        Question(
            "rotary_is_better_within",
            "Within the trained length rotary positions reach a lower loss than learned ones.",
            "validation loss of learned minus that of rotary",
            lambda arms: arms.difference("learned", "rotary", "within"),
            0.02,
            decided_by=("rope",),
        ),
        Question(
            "learned_fails_beyond",
            "Beyond the trained length the loss of learned positions rises.",
            "validation loss at 32 to 63 minus that at 16 to 31",
            lambda arms: harm(arms, "learned"),
            0.1,
        ),
        Question(
            "rotary_carries_on",
            "Beyond the trained length the loss of rotary positions does not rise.",
            "validation loss at 32 to 63 minus that at 16 to 31",
            lambda arms: harm(arms, "rotary"),
            0.05,
            relation=Relation.BELOW,
            decided_by=("rope",),
        ),
        Question(
            "sinusoidal_carries_on",
            "Beyond the trained length the loss of sinusoidal positions does not rise.",
            "validation loss at 32 to 63 minus that at 16 to 31",
            lambda arms: harm(arms, "sinusoidal"),
            0.05,
            relation=Relation.BELOW,
            decided_by=("sinusoidal_positions",),
        ),
        Question(
            "rotary_gains_more_on_little_text",
            "The advantage of rotary positions is larger on little text.",
            "advantage on little text minus that on much text",
            lambda arms: (
                arms.difference("learned, little text", "rotary, little text", "within")
                - arms.difference("learned", "rotary", "within")
            ),
            0.02,
        ),
    ),
    axes=Axes("position", "validation loss (nats)"),
    components=("learned_positions", "sinusoidal_positions", "rope", *BLOCKS, "adamw", "clip_grad_norm", "lr_schedule"),
    caveat="Text by character needs little more than the last few positions: a task that needs far ones would "
    "show more.",
)
