"""How time and memory grow with the length of the sequence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Components, Kind, Lesson, Measured, Question, Relation, Setting
from specs.shared.lesson_text import generator

LENGTHS = (256, 512, 1024, 2048)
SIZE, WINDOW, STATES = 16, 32, 8
TIMES = 5

Forward = Callable[[Components, dict[str, Tensor]], Tensor]


def tensors(setting: Setting, length: int) -> dict[str, Tensor]:
    """Queries, keys, values and inputs of one head."""
    draws = generator(setting.seed, length)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws)

    found = {name: drawn(1, 1, length, SIZE) for name in "qkv"} | {"x": drawn(1, length, SIZE)}
    found |= {"qkv_weight": drawn(3 * SIZE, SIZE) / 4, "out_weight": drawn(SIZE, SIZE) / 4}
    decay = torch.rand(SIZE, STATES, generator=draws) * 0.9
    found |= {"a": decay, "b": drawn(SIZE, STATES), "c": drawn(SIZE, STATES)}
    return {name: tensor.requires_grad_() for name, tensor in found.items()}


def full(components: Components, t: dict[str, Tensor]) -> Tensor:
    """Every position sees all before it."""
    weights = {"qkv_weight": t["qkv_weight"], "qkv_bias": None, "out_weight": t["out_weight"], "out_bias": None}
    found: Tensor = components.call("attention", x=t["x"], n_heads=1, **weights)
    return found


def window(components: Components, t: dict[str, Tensor]) -> Tensor:
    """Every position sees the last 32."""
    weights = {"qkv_weight": t["qkv_weight"], "qkv_bias": None, "out_weight": t["out_weight"], "out_bias": None}
    found: Tensor = components.call("sliding_window_attention", x=t["x"], n_heads=1, window=WINDOW, **weights)
    return found


def linear(components: Components, t: dict[str, Tensor]) -> Tensor:
    """The past is one matrix."""
    found: Tensor = components.call("linear_attention", q=t["q"], k=t["k"], v=t["v"])
    return found


def states(components: Components, t: dict[str, Tensor]) -> Tensor:
    """The past is a few states per channel."""
    found: Tensor = components.call("state_space", x=t["x"], a=t["a"], b=t["b"], c=t["c"])
    return found


def kept_bytes(forward: Callable[[], Any]) -> float:
    """Bytes of the tensors that a forward pass keeps for the backward pass, each memory once."""
    seen: dict[int, int] = {}
    held: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)  # as long as it lives, no other tensor has its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return float(sum(seen.values()))


def arm(name: str, sentence: str, forward: Forward) -> Arm:
    """``time`` and ``memory``: exponents over the length, between the last three and between all."""

    def run(setting: Setting) -> Measured:
        seconds, kept = {}, {}
        for length in LENGTHS:
            given = tensors(setting, length)
            call = partial(forward, setting.components, given)
            kept[length] = kept_bytes(call)
            with torch.no_grad():
                seconds[length] = min(timed(call) for _ in range(TIMES))
        line = [(float(length), 1e3 * spent) for length, spent in seconds.items()]
        return Measured({"time": exponent(seconds), "memory": exponent(kept)}, {name: line})

    return Arm(name, sentence, run)


def timed(call: Callable[[], Any]) -> float:
    """Processor seconds."""
    begun = time.process_time()
    call()
    return max(time.process_time() - begun, 1e-7)


def exponent(values: dict[int, float]) -> float:
    """By least squares of the logarithms, without the shortest length, at which fixed costs still count."""
    xs = [math.log(length) for length in LENGTHS[1:]]
    ys = [math.log(values[length]) for length in LENGTHS[1:]]
    mean = sum(xs) / len(xs)
    return sum((x - mean) * y for x, y in zip(xs, ys, strict=True)) / sum((x - mean) ** 2 for x in xs)


def question(
    name: str, sentence: str, arm: str, value: str, threshold: float, above: bool, component: str, effect: str
) -> Question:
    """An exponent above or below a threshold."""

    def take(arms: Arms) -> float:
        return arms[arm][value]

    relation = Relation.ABOVE if above else Relation.BELOW
    kind = Kind.EXACT if value == "memory" else Kind.MEAN
    return Question(name, sentence, effect, take, threshold, "", relation, kind, (component,))


TIME, MEMORY = "exponent of time over T", "exponent of the memory kept for the backward pass over T"
LESSON = Lesson(
    name="attention-cost",
    claim="Attention costs T squared in time and memory; with a window, as linear attention or as a state space it "
    "costs T.",
    source="Vaswani et al. 2017, table 1; Beltagy et al. 2020; Katharopoulos et al. 2020; Gu & Dao 2023",
    setup="one head of 16 features, T from 256 to 2048, exponents fitted from 512 on; the readable forms of the "
    "components, not fused kernels",
    arms=(
        arm("full", "every position sees all before it", full),
        arm("window", "every position sees the last 32", window),
        arm("linear", "products of features in place of softmax", linear),
        arm("state space", "8 states per channel, one position after the other", states),
    ),
    questions=(
        question("full_time", "Full attention takes T squared.", "full", "time", 1.5, True, "attention", TIME),
        question("full_memory", "It keeps T squared numbers.", "full", "memory", 1.5, True, "attention", MEMORY),
        question(
            "window_time",
            "With a window it takes T.",
            "window",
            "time",
            1.3,
            False,
            "sliding_window_attention",
            TIME,
        ),
        question(
            "window_memory",
            "With a window it keeps T numbers.",
            "window",
            "memory",
            1.3,
            False,
            "sliding_window_attention",
            MEMORY,
        ),
        question("linear_time", "Linear attention takes T.", "linear", "time", 1.3, False, "linear_attention", TIME),
        question(
            "linear_memory",
            "Linear attention keeps T numbers.",
            "linear",
            "memory",
            1.3,
            False,
            "linear_attention",
            MEMORY,
        ),
        question("state_time", "A state space takes T.", "state space", "time", 1.3, False, "state_space", TIME),
        question(
            "state_memory", "A state space keeps T numbers.", "state space", "memory", 1.3, False, "state_space", MEMORY
        ),
    ),
    axes=Axes("T", "processor milliseconds", log_across=True, log_up=True),
    components=("attention", "sliding_window_attention", "linear_attention", "state_space"),
    caveat="A window that is a mask over all scores costs as much as no window: the saving is in the kernel, not in "
    "the formula.",
)
