"""Adam's moments in eight bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Kind, Lesson, Measured, Object, Question, Relation, Setting
from harness.core.tree import leaves
from reference_model.config import Config
from specs.shared.lesson_text import VOCABULARY, training_text
from specs.shared.lesson_training import COMPONENTS, Recipe, fresh, named, text_loss, train

LENGTH, BATCH, WIDTH, HEADS, STEPS = 32, 8, 32, 2, 200
NUDGE = 1e-6
"""Relative change of the initial weights in a control run."""


def state_bytes(optimizer: Object) -> int:
    """Bytes of every tensor in its state."""
    found = [leaf for _, leaf in leaves(optimizer.call("state")) if torch.is_tensor(leaf)]
    return sum(leaf.numel() * leaf.element_size() for leaf in found)


def arm(name: str, sentence: str, optimizer: str, nudge: float = 0.0) -> Arm:
    """One optimiser. ``distance``: from the end of the 32-bit run, as a share of the way that it travelled."""

    def run(setting: Setting) -> Measured:
        loss, line, end, _, held = ended(setting, optimizer, nudge)
        values = {"late": loss, "bytes": held, "distance": 0.0}
        if optimizer != "adamw" or nudge:
            _, _, exact, begun, _ = ended(setting, "adamw", 0.0)
            values["distance"] = 100 * float((end - exact).norm() / (exact - begun).norm())
        return Measured(values, {name: line})

    return Arm(name, sentence, run)


def ended(setting: Setting, optimizer: str, nudge: float) -> tuple[float, list[Any], Tensor, Tensor, float]:
    """Late loss, curve, weights at the end and at the start, bytes of the moments per parameter."""
    weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, 2), setting.seed)
    tensors = list(named(weights).values())
    for tensor in tensors:
        tensor *= 1.0 + nudge
    start = torch.cat([tensor.reshape(-1).clone() for tensor in tensors])
    loss = text_loss(setting, weights, HEADS, training_text(), BATCH, LENGTH)
    steps = setting.steps(STEPS)
    recipe = Recipe(steps, lr=1e-2, warmup=steps // 10, optimizer=optimizer)
    done = train(setting.components, tensors, loss, recipe)
    end = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    line = [(at + 5.0, sum(done.losses[at : at + 10]) / 10) for at in range(0, steps - 9, 10)]
    return done.late(), line, end, start, state_bytes(done.optimizer) / len(end)


def extra_loss(arms: Arms) -> float:
    """What eight bits cost."""
    return arms.difference("8 bits", "32 bits", "late")


LESSON = Lesson(
    name="adam-bits",
    claim="8-bit Adam follows 32-bit Adam with a quarter of the memory for its moments.",
    source="Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization",
    setup="2 layers of width 32 (27,000 parameters), 33 characters, batches of 8 x 32, 200 steps at a peak rate of "
    "0.01; moments in blocks of 256",
    arms=(
        arm("32 bits", "float32 moments", "adamw"),
        arm("8 bits", "both moments in codes of eight bits", "adamw_8bit"),
        arm("32 bits, nudged", "float32 moments, initial weights times 1.000001", "adamw", NUDGE),
    ),
    questions=(
        Question(
            "it_reaches_the_same_loss",
            "The loss ends no higher with 8 bits.",
            "late loss with 8 bits minus with 32",
            extra_loss,
            0.02,
            relation=Relation.BELOW,
            decided_by=("adamw_8bit",),
        ),
        Question(
            "it_takes_a_quarter_of_the_memory",
            "The moments take at most 30 % of the memory.",
            "bytes of the moments, 8 bits over 32 bits",
            lambda arms: 100 * arms["8 bits"]["bytes"] / arms["32 bits"]["bytes"],
            30.0,
            unit="%",
            relation=Relation.BELOW,
            kind=Kind.EXACT,
            decided_by=("adamw_8bit",),
        ),
        Question(
            "it_takes_the_same_path",
            "The weights end close to those of 32 bits.",
            "distance of the ends, in percent of the way travelled",
            lambda arms: arms["8 bits"]["distance"],
            10.0,
            unit="%",
            relation=Relation.BELOW,
        ),
        Question(
            "it_leaves_the_path_no_more_than_a_nudge",
            "It ends no further away than a run whose weights begin a millionth larger.",
            "distance with 8 bits minus that of the nudged run, in percent of the way travelled",
            lambda arms: arms.difference("8 bits", "32 bits, nudged", "distance"),
            5.0,
            unit="%",
            relation=Relation.BELOW,
        ),
    ),
    axes=Axes("step", "training loss (nats)"),
    components=(*COMPONENTS, "adamw_8bit"),
    caveat="Tensors below 4096 numbers keep 32-bit moments in the usual implementations: here all matrices are one "
    "vector, as fused optimisers have them. Scales take 4 bytes per block of 256.",
)
