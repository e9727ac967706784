"""The gradients of attention whose keys and values are projected along time: larger, or noisier?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Relation, Setting
from specs.shared.lesson_text import generator

POSITIONS, WIDTH, BATCHES, BATCH = 64, 16, 24, 4
RANKS = (4, 16, 64)
NAMES = ("query_weight", "key_weight", "value_weight")


def gradients(setting: Setting, rank: int, keeps_size: bool) -> Tensor:
    """One gradient of the three weights for each of many minibatches.  -> [minibatches, numbers]

    The task: full attention with weights of its own gives the targets. Rank 0: no projection. ``keeps_size``: the
    projections have variance 1 / T, so that mixed keys are as large as keys, rather than 1 / R.
    """
    draws = generator(setting.seed, 3)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws)

    teacher = [drawn(WIDTH, WIDTH) / math.sqrt(WIDTH) for _ in NAMES]
    weights = [(drawn(WIDTH, WIDTH) / math.sqrt(WIDTH)).requires_grad_() for _ in NAMES]
    inputs = drawn(BATCHES, BATCH, POSITIONS, WIDTH)
    divisor = math.sqrt(POSITIONS if keeps_size else max(rank, 1))
    e, f = (drawn(max(RANKS), POSITIONS)[: max(rank, 1)] / divisor for _ in range(2))
    found = []
    for x in inputs:
        with torch.no_grad():
            q, k, v = (x @ weight for weight in teacher)
            targets = setting.components.call("scaled_dot_product_attention", q=q, k=k, v=v)
        q, k, v = (x @ weight for weight in weights)
        if rank:
            out = setting.components.call("low_rank_attention", q=q, k=k, v=v, key_projection=e, value_projection=f)
        else:
            out = setting.components.call("scaled_dot_product_attention", q=q, k=k, v=v)
        grads = torch.autograd.grad((out - targets).square().mean(), weights)
        found.append(torch.cat([grad.reshape(-1) for grad in grads]))
    return torch.stack(found)


def arm(rank: int, keeps_size: bool = False) -> Arm:
    """``size``: mean squared gradient; ``noise``: variance between minibatches; ``relative``: that over the square of
    the mean gradient, both without bias."""
    name = f"rank {rank}{', keys of the same size' if keeps_size else ''}" if rank else "full"

    def run(setting: Setting) -> Measured:
        found = gradients(setting, rank, keeps_size).double()
        noise = float(found.var(0).sum())
        signal = max(float(found.mean(0).square().sum()) - noise / BATCHES, 1e-30)
        values = {"size": float(found.square().mean()), "noise": noise, "relative": noise / signal}
        return Measured(values, {name: [(rank or POSITIONS, noise / signal)]})

    return Arm(name, "keys and values mixed along time to so few positions" if rank else "no projection", run)


def times(arms: Arms, one: str, other: str, value: str) -> float:
    """How many times as large, as a logarithm to base 10, whose mean over seeds is not ruled by one of them."""
    return math.log10(arms[one][value] / arms[other][value])


LESSON = Lesson(
    name="low-rank-noise",
    claim="Low-rank attention has noisier gradients: the smaller the rank, the larger their variance.",
    source="repeated of Linformer (Wang et al. 2020) and other projected attention",
    setup="one head of width 16, 64 positions, targets from a full attention; 24 minibatches of 4; projections with "
    "variance 1 / rank",
    arms=(arm(0), *(arm(rank) for rank in RANKS), arm(RANKS[0], keeps_size=True)),
    questions=(
        Question(
            "gradients_are_larger",
            "At rank 4 the squared gradient is larger than that of full attention.",
            "logarithm to base 10 of the ratio of mean squared gradients",
            lambda arms: times(arms, "rank 4", "full", "size"),
            0.3,
            unit="decades",
            decided_by=("low_rank_attention",),
        ),
        Question(
            "variance_grows_as_the_rank_falls",
            "The variance at rank 4 is larger than at rank 64.",
            "logarithm to base 10 of the ratio of variances",
            lambda arms: times(arms, "rank 4", "rank 64", "noise"),
            0.3,
            unit="decades",
            decided_by=("low_rank_attention",),
        ),
        Question(
            "larger_with_keys_of_the_same_size",
            "It is larger too where the projections leave keys and values as large as they were.",
            "logarithm to base 10 of the ratio of mean squared gradients, projections with variance 1 / T",
            lambda arms: times(arms, "rank 4, keys of the same size", "full", "size"),
            0.3,
            unit="decades",
        ),
        Question(
            "variance_tells_the_noise",
            "The variance tells how noisy the gradients are: it rises as much as the noise beside the signal.",
            "rise of the variance from full attention to rank 4 beyond that of variance over squared mean",
            lambda arms: times(arms, "rank 4", "full", "noise") - times(arms, "rank 4", "full", "relative"),
            0.3,
            unit="decades",
            relation=Relation.BELOW,
        ),
        Question(
            "noise_over_signal_is_larger",
            "The noise is larger beside the signal too: variance over squared mean, rank 4 against full attention.",
            "logarithm to base 10 of the ratio",
            lambda arms: times(arms, "rank 4", "full", "relative"),
            0.1,
            unit="decades",
        ),
        Question(
            "noise_over_signal_grows_as_the_rank_falls",
            "Beside the signal the noise at rank 4 is larger than at rank 64.",
            "logarithm to base 10 of the ratio",
            lambda arms: times(arms, "rank 4", "rank 64", "relative"),
            0.1,
            unit="decades",
        ),
    ),
    axes=Axes("rank (full: 64)", "variance over squared mean of the gradient", log_across=True, log_up=True),
    components=("low_rank_attention", "scaled_dot_product_attention"),
    caveat="A variance has the square of the gradient's unit: a loss or a projection that is scaled scales it too, "
    "and an optimiser like Adam divides that out. What slows training is the noise beside the signal.",
)
