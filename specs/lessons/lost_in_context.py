"""Whether a model reads the middle of its context as well as the ends."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Setting
from reference_model.config import Config
from specs.shared.lesson_text import VOCABULARY, generator, training_text, validation_text, windows
from specs.shared.lesson_training import COMPONENTS, Recipe, fresh, logits, named, text_loss, train

KEYS, VALUES = 16, 4
TOKENS = KEYS * VALUES + KEYS
"""A token for every pair of a key and a value, and one that asks for each key."""
BATCH, WIDTH, HEADS, LAYERS, STEPS, LENGTH = 32, 32, 2, 2, 250, 32
TESTS = 4096
ENDS = 4
"""Pairs at each end of the context."""


def asked(count: int, bias: float, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sixteen pairs in any order, then a question.  -> ids [B, 17], values [B], places of the pairs asked for [B]

    ``bias``: the share of questions that ask for a pair at one of the ends whatever else is drawn.
    """
    keys = torch.rand(count, KEYS, generator=draws).argsort(-1)
    values = torch.randint(0, VALUES, (count, KEYS), generator=draws)
    places = torch.randint(0, KEYS, (count,), generator=draws)
    at_ends = torch.randint(-ENDS, ENDS, (count,), generator=draws) % KEYS
    places = torch.where(torch.rand(count, generator=draws) < bias, at_ends, places)[:, None]
    question = keys.gather(1, places) + KEYS * VALUES
    return torch.cat([keys * VALUES + values, question], 1), values.gather(1, places)[:, 0], places[:, 0]


def recall_arm(name: str, sentence: str, bias: float) -> Arm:
    """Accuracy by the place of the pair: ``ends`` (the lower of the two), ``first``, ``last`` and ``middle``."""

    def run(setting: Setting) -> Measured:
        weights = fresh(Config(TOKENS, KEYS + 1, WIDTH, HEADS, LAYERS), setting.seed)
        draws = generator(setting.seed, 1)

        def scores(ids: Tensor) -> Tensor:
            return logits(setting.components, ids, weights, HEADS)[:, -1, :VALUES]

        def loss(step: int) -> Tensor:
            ids, values, _ = asked(BATCH, bias, draws)
            return torch.nn.functional.cross_entropy(scores(ids), values)

        steps = setting.steps(STEPS)
        train(setting.components, list(named(weights).values()), loss, Recipe(steps, lr=1e-2, warmup=steps // 10))
        ids, values, places = asked(TESTS, 0.0, generator(setting.seed, 99))
        with torch.no_grad():
            right = (scores(ids).argmax(-1) == values).double()
        by_place = [100 * float(right[places == at].mean()) for at in range(KEYS)]
        first, last = sum(by_place[:ENDS]) / ENDS, sum(by_place[-ENDS:]) / ENDS
        middle = sum(by_place[ENDS:-ENDS]) / (KEYS - 2 * ENDS)
        found = {"first": first, "last": last, "middle": middle, "ends": min(first, last)}
        return Measured(found, {name: [(at + 1.0, value) for at, value in enumerate(by_place)]})

    return Arm(name, sentence, run)


def text(setting: Setting) -> Measured:
    """Validation loss of English by character: ``early`` at 2 to 5, ``half`` at 9 to 16, ``late`` from 25."""
    weights = fresh(Config(VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS), setting.seed)
    steps = setting.steps(2 * STEPS)
    loss = text_loss(setting, weights, HEADS, training_text(), 8, LENGTH)
    train(setting.components, list(named(weights).values()), loss, Recipe(steps, lr=1e-2, warmup=steps // 10))
    ids, targets = windows(validation_text(), 1024, LENGTH, generator(setting.seed, 99))
    with torch.no_grad():
        found = logits(setting.components, ids, weights, HEADS)
        losses = torch.nn.functional.cross_entropy(found.transpose(1, 2), targets, reduction="none").mean(0)
    pieces = {"early": losses[1:5], "half": losses[8:16], "late": losses[24:]}
    return Measured({name: float(piece.mean()) for name, piece in pieces.items()})


def dip(arms: Arms, name: str) -> float:
    """How much worse the middle is than the worse of the two ends."""
    return arms[name]["ends"] - arms[name]["middle"]


LESSON = Lesson(
    name="lost-in-context",
    claim="Models read the beginning and the end of their context well and lose the middle; more context lowers the "
    "loss.",
    source="Liu et al. 2023, Lost in the Middle; Kaplan et al. 2020, figure on loss by position",
    setup="2 layers of width 32; 16 pairs of a key and a value in random order, then a key whose value is asked for; "
    "250 steps of 32 at a peak rate of 0.01; guessing gets 25 %",
    arms=(
        recall_arm("asked evenly", "in training every place is asked for equally often", 0.0),
        recall_arm("asked at the ends", "in training 19 of 20 questions ask for one of the four pairs at an end", 0.95),
        Arm("text", "English by character, 500 steps", text),
    ),
    questions=(
        Question(
            "the_middle_is_lost",
            "The middle is recalled worse than both ends.",
            "accuracy at the worse end minus that of the middle, asked evenly",
            lambda arms: dip(arms, "asked evenly"),
            5.0,
            unit="points",
            decided_by=("block",),
        ),
        Question(
            "the_end_is_best",
            "The last pairs are recalled better than the first.",
            "accuracy of the last four pairs minus that of the first four, asked evenly",
            lambda arms: arms["asked evenly"]["last"] - arms["asked evenly"]["first"],
            5.0,
            unit="points",
        ),
        Question(
            "data_that_ask_at_the_ends_lose_the_middle",
            "Training that asks for the ends makes a model that loses the middle.",
            "accuracy at the worse end minus that of the middle, asked at the ends",
            lambda arms: dip(arms, "asked at the ends"),
            5.0,
            unit="points",
            decided_by=("block",),
        ),
        Question(
            "context_lowers_the_loss",
            "On text the loss falls with the position.",
            "loss at positions 2 to 5 minus that at 9 to 16",
            lambda arms: arms["text"]["early"] - arms["text"]["half"],
            0.05,
        ),
        Question(
            "more_context_lowers_it_further",
            "It goes on falling in the second half of the window.",
            "loss at positions 9 to 16 minus that at 25 to 32",
            lambda arms: arms["text"]["half"] - arms["text"]["late"],
            0.02,
        ),
    ),
    axes=Axes("place of the pair", "accuracy (%)"),
    components=COMPONENTS,
    caveat="Seventeen tokens and learned positions: nothing here is far away. The dip of large models has also been "
    "put down to where their training data have what matters.",
)
