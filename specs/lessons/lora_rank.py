"""The scale of a low-rank adapter as its rank grows."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Object, Question, Relation, Setting
from reference_model.config import Config
from reference_model.lm_loss import lm_loss
from specs.shared.lesson_blocks import BLOCKS, embedded, through
from specs.shared.lesson_text import VOCABULARY, generator, training_text, windows
from specs.shared.lesson_training import Recipe, fresh, named, text_loss, train

LENGTH, BATCH, WIDTH, HEADS, LAYERS = 32, 8, 64, 2, 2
BEFORE, STEPS, ALPHA, RATE = 200, 100, 8.0, 1e-2
RANKS = (1, 4, 16, 64)
MATRICES = ("qkv_weight", "out_weight", "up_weight", "down_weight")


@lru_cache(maxsize=2)
def pretrained(setting: Setting) -> dict[str, Any]:
    """A model of English, which every arm of a seed begins with."""
    weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS), setting.seed)
    loss = text_loss(setting, weights, HEADS, training_text(), BATCH, LENGTH)
    steps = setting.steps(BEFORE)
    train(setting.components, list(named(weights).values()), loss, Recipe(steps, lr=1e-2, warmup=steps // 10))
    for tensor in named(weights).values():
        tensor.requires_grad_(False)
    return weights


def adapters(setting: Setting, kind: str, rank: int) -> dict[tuple[int, str], Object]:
    """One beside every large matrix of the blocks."""
    blocks = pretrained(setting)["blocks"]
    return {
        (at, name): setting.components.build(
            kind, weight=block[name], bias=block[name.replace("weight", "bias")], rank=rank, alpha=ALPHA
        )
        for at, block in enumerate(blocks)
        for name in MATRICES
    }


def arm(kind: str, rank: int) -> Arm:
    """``late``: loss on reversed text; ``norm``: of the gradients, over the last half of the steps."""
    title = "LoRA" if kind == "lora" else "rsLoRA"
    name = f"{title}, rank {rank}"

    def run(setting: Setting) -> Measured:
        weights, held = pretrained(setting), adapters(setting, kind, rank)
        data, draws = training_text().flip(0), generator(setting.seed, 2)

        def apply(layer: int, weight: str, x: Tensor) -> Tensor:
            found: Tensor = held[layer, weight].call("forward", x=x)
            return found

        def loss(step: int) -> Tensor:
            ids, targets = windows(data, BATCH, LENGTH, draws)
            stream = through(setting.components, embedded(weights, ids), weights, HEADS, apply)
            return lm_loss(stream @ weights["token_embedding"].T, targets)

        tensors = [tensor for one in held.values() for tensor in one.call("parameters").values()]
        done = train(setting.components, tensors, loss, Recipe(setting.steps(STEPS), lr=RATE, clip=0.0, decay=0.0))
        last = done.norms[len(done.norms) // 2 :]
        norm = math.exp(sum(math.log(max(n, 1e-12)) for n in last) / len(last))
        return Measured({"late": done.late(), "norm": norm}, {title: [(rank, norm)]})

    return Arm(name, "alpha / rank" if kind == "lora" else "alpha / root of the rank", run)


def slope(arms: Arms, title: str) -> float:
    """Exponent of the gradient norm over the rank, by least squares of the logarithms."""
    xs = [math.log(rank) for rank in RANKS]
    ys = [math.log(arms[f"{title}, rank {rank}"]["norm"]) for rank in RANKS]
    mean = sum(xs) / len(xs)
    return sum((x - mean) * y for x, y in zip(xs, ys, strict=True)) / sum((x - mean) ** 2 for x in xs)


LESSON = Lesson(
    name="lora-rank",
    claim="With LoRA's scale alpha / r gradients shrink as the rank grows, so that a higher rank brings nothing; with "
    "rsLoRA's alpha / sqrt(r) they do not, and a higher rank helps.",
    source="Kalajdzievski 2023, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA",
    setup="2 layers of width 64 trained on English, then adapters on all large matrices for text in reverse; alpha 8, "
    "ranks 1 to 64, 100 steps of AdamW at a peak rate of 0.01 without clipping",
    arms=tuple(arm(kind, rank) for kind in ("lora", "rslora") for rank in RANKS),
    questions=(
        Question(
            "lora_gradients_shrink",
            "LoRA's gradients shrink with the rank.",
            "exponent of the gradient norm over the rank",
            lambda arms: slope(arms, "LoRA"),
            -0.1,
            unit="",
            relation=Relation.BELOW,
            decided_by=("lora",),
        ),
        Question(
            "rslora_gradients_do_not",
            "rsLoRA's gradients do not shrink with the rank.",
            "exponent of the gradient norm over the rank",
            lambda arms: slope(arms, "rsLoRA"),
            -0.1,
            unit="",
            decided_by=("rslora",),
        ),
        Question(
            "rslora_ends_lower_at_a_high_rank",
            "At rank 64 rsLoRA ends lower than LoRA.",
            "late loss of LoRA minus that of rsLoRA, rank 64",
            lambda arms: arms.difference("LoRA, rank 64", "rsLoRA, rank 64", "late"),
            0.02,
            decided_by=("rslora",),
        ),
        Question(
            "a_higher_rank_helps_rslora",
            "With rsLoRA rank 64 ends lower than rank 4.",
            "late loss at rank 4 minus that at rank 64",
            lambda arms: arms.difference("rsLoRA, rank 4", "rsLoRA, rank 64", "late"),
            0.02,
        ),
        Question(
            "a_higher_rank_does_not_help_lora",
            "With LoRA rank 64 ends no lower than rank 4.",
            "late loss at rank 4 minus that at rank 64",
            lambda arms: arms.difference("LoRA, rank 4", "LoRA, rank 64", "late"),
            0.02,
            relation=Relation.BELOW,
        ),
    ),
    axes=Axes("rank", "gradient norm", log_across=True, log_up=True),
    components=("lora", "rslora", *BLOCKS, "block", "adamw", "clip_grad_norm", "lr_schedule"),
    caveat="One learning rate for all ranks, as in the source: a rate that is tuned for each rank hides the difference "
    "of scale. Rank 64 is the whole width here.",
)
