"""Training batches: random contiguous windows of the data, and the windows one token later.

An implementation may draw the starts as it likes: by torch, NumPy or Python, with or without replacement, from a given
generator or from a global one. So the claims are about every draw, or about the frequencies of many draws.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import chain, combinations

import torch

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.values import Resource
from harness.numerics.statistics import FALSE_ALARM, binomial_two_sided
from reference_model.get_batch import get_batch
from specs.shared.batch_functions import BATCHES
from specs.shared.batches import (
    cases,
    few_starts,
    fits,
    in_a_row,
    invalid_cases,
    long_data,
    other_integers,
    pairs_of,
    shortest_data,
    starts_of,
)
from specs.shared.generators import new

PER_START = 400
"""Draws per valid start on average. No start is never drawn, or half or twice as often as expected, by chance."""
RANDOM_CASES = 2
LEVEL = FALSE_ALARM / RANDOM_CASES
"""The significance level of all tests of one case together."""
CALLS = 30
"""Consecutive batches: rows (or batches) with five valid starts are equal in all of them with a probability below
5 ** -29 = 6e-21."""


# claims --------------------------------------------------------------------------------------------------------------


@claim("x and y have the shape [batch, time]", broken_by="time_before_batch", aliases=("rows_of_ids",))
def shapes_are_batch_by_time(trial: Trial) -> None:
    pairs_of(trial)


@claim(
    "every row is a contiguous window of the data", broken_by="positions_for_tokens", aliases=("stretches_of_the_data",)
)
def rows_are_contiguous_windows(trial: Trial) -> None:
    tokens = trial.case.arguments["tokens"].tolist()
    for x, y in pairs_of(trial):
        for name, rows in (("x", x), ("y", y)):
            for b, row in enumerate(rows.tolist()):
                if not fits(row, tokens):
                    message = f"row {b} of {name} is not a contiguous window of the data: {row}"
                    raise Violation(message, worst=f"the data is {tokens}")


@claim(
    "y holds the next token in the data for each token of x", broken_by="ids_plus_one", aliases=("y_is_what_follows",)
)
def y_is_the_next_token(trial: Trial) -> None:
    """In the data: y is not x plus one."""
    tokens = trial.case.arguments["tokens"].tolist()
    for x, y in pairs_of(trial):
        for b, (row, target) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
            following = [tokens[at + 1 : at + 1 + len(row)] for at in fits(row, tokens)]
            if target not in following:
                follows = f"; the next tokens in the data are {following[0]}" if following else ""
                raise Violation(f"row {b}: x is {row} and y is {target}{follows}", worst=f"the data is {tokens}")


@claim(
    "x and y are int64, whatever integer type stores the data",
    broken_by="ids_not_int64",
    cases=other_integers,
    max_cases=12,
)
def ids_are_int64(trial: Trial) -> None:
    for name, tensor in zip("xy", trial.run().value, strict=True):
        if tensor.dtype != torch.int64:
            stored = str(trial.case.arguments["tokens"].dtype).removeprefix("torch.")
            raise Violation(f"from data in {stored}, {name} is {tensor.dtype}; embeddings and losses need int64")


@claim(
    "data of time + 1 tokens gives its only window",
    broken_by="last_start_left_out",
    cases=shortest_data,
    max_cases=10,
    aliases=("the_only_start",),
)
def shortest_data_gives_its_only_row(trial: Trial) -> None:
    tokens = trial.case.arguments["tokens"]
    for x, y in pairs_of(trial, in_a_row(trial, 12)):
        if not (torch.equal(x[0], tokens[:-1]) and torch.equal(y[0], tokens[1:])):
            raise Violation(f"from the data {tokens.tolist()} it returns x = {x[0].tolist()} and y = {y[0].tolist()}")


@claim(
    "every valid start is equally likely, the last one included",
    broken_by="first_start_left_out",
    cases=few_starts,
    max_cases=RANDOM_CASES,
    false_alarm=FALSE_ALARM,
    power=0.999,
    aliases=("every_start_equally_often",),
)
def starts_are_uniform(trial: Trial) -> None:
    """The count of each start is binomial. Drawing without replacement makes it vary less, never more."""
    batch, time = trial.case.arguments["batch"], trial.case.arguments["time"]
    legal = len(trial.case.arguments["tokens"]) - time
    trial.run(in_a_row(trial, 2), fresh=True)  # other claims judge it: a short script distinguishes more mistakes
    script = in_a_row(trial, -(-PER_START * legal // batch))
    counts = Counter(start for row in starts_of(trial, pairs_of(trial, script)) for start in row)
    draws = counts.total()
    odds = {start: binomial_two_sided(counts[start], draws, 1 / legal) for start in range(legal)}
    start = min(odds, key=lambda one: odds[one])
    if odds[start] < LEVEL / legal:
        which = "the last start" if start == legal - 1 else "the first start" if start == 0 else "the start"
        often = "never" if not counts[start] else f"{counts[start]} times"
        expected = f"each of 0 to {legal - 1} is expected about {draws // legal} times"
        raise Violation(
            f"{which}, {start}, was drawn {often} in {draws} draws; {expected}",
            worst=", ".join(f"{one}: {counts[one]}" for one in range(legal)),
        )


@claim(
    "each row of a batch has its own start",
    broken_by="one_start_for_all_rows",
    cases=few_starts,
    max_cases=RANDOM_CASES,
    false_alarm=1e-18,
    power=1.0,
    aliases=("rows_are_drawn_one_by_one",),
)
def rows_are_drawn_independently(trial: Trial) -> None:
    """Every row is compared with every other one: several workers with one seed repeat rows further on."""
    found = starts_of(trial, pairs_of(trial, in_a_row(trial, CALLS)))
    for one, other in combinations(range(trial.case.arguments["batch"]), 2):
        if all(row[one] == row[other] for row in found):
            raise Violation(f"rows {one} and {other} started at the same place in all {CALLS} batches")


@claim(
    "consecutive calls give different batches",
    broken_by="reseeded_in_every_call",
    cases=few_starts,
    max_cases=RANDOM_CASES,
    false_alarm=1e-18,
    power=1.0,
    aliases=("every_batch_is_drawn_anew",),
)
def every_batch_is_redrawn(trial: Trial) -> None:
    """Without a generator, and with one where the implementation takes one."""
    for generator, how in ((None, "in a row"), (new(7), "with the same generator")):
        with suppress(NotSupported):
            found = starts_of(trial, pairs_of(trial, in_a_row(trial, CALLS, trial.case.changed(generator=generator))))
            if all(row == found[0] for row in found):
                raise Violation(f"{CALLS} calls {how} gave the same batch every time; each call must draw a new one")


@claim(
    "the same seed gives the same batches",
    broken_by="seeded_from_the_clock",
    max_cases=12,
    aliases=("same_seed_same_batches",),
)
def reproducible_with_a_seed(trial: Trial) -> None:
    """The seed of the generator, or of the global generators of torch, NumPy and Python."""
    script = in_a_row(trial, 3)
    first, second = pairs_of(trial, script), pairs_of(trial, script)
    pairs = zip(chain(*first), chain(*second), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        which = "the generator" if trial.case.arguments["generator"] is not None else "torch, NumPy and Python"
        raise Violation(f"with the same seed for {which}, the batches differ")


@claim(
    "where a generator is passed, only it determines the batch",
    broken_by="generator_ignored",
    cases=long_data,
    max_cases=6,
    false_alarm=1e-11,
    power=0.9999999,
    aliases=("given_generator_decides",),
)
def uses_the_given_generator(trial: Trial) -> None:
    """The same seed gives the same batch, whatever other generators were used; another seed gives another batch."""
    (seed,) = trial.case.arguments["generator"].arguments
    method = trial.case.calls[-1].method

    def batch(*generators: Resource | None) -> torch.Tensor:
        calls = tuple(Call(method, {**trial.case.arguments, "generator": one}) for one in generators)
        return torch.cat(pairs_of(trial, Case(calls, trial.case.dimensions, trial.case.family))[-1])

    alone, other = batch(new(seed)), batch(new(seed + 1))
    if torch.equal(alone, other):
        seeds = f"generators with the seeds {seed} and {seed + 1}"
        raise Violation(f"{seeds} give the same batch: the generator is not used")
    probe = trial.attempt(trial.case.changed(generator=None))
    if probe.crash is not None:
        raise NotSupported(f"without a generator it raises {probe.crash.error}")
    if not torch.equal(alone, batch(None, None, new(seed))):
        raise Violation("after draws without a generator, a generator with the same seed gives another batch")


CONTRACT = Contract(
    name="get_batch",
    meaning="Training batches: random contiguous windows of the data, with the windows one token later as targets.",
    calls={
        "call": Signature(
            (
                Argument("tokens", "int[length]"),
                Argument("batch", "int", role="setting"),
                Argument("time", "int", role="setting"),
                Argument("generator", "torch.Generator", role="setting", optional=True, default=None),
            ),
            "(x int[batch, time], y int[batch, time])",
        )
    },
    reference=get_batch,
    cases=cases,
    invalid=invalid_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    draws=True,
    dialects=BATCHES,
    order=76,
    case_count=24,
    sources=("karpathy/nanoGPT train.py, get_batch", "Stanford CS336, assignment 1, section 5.1"),
    claims=(
        shapes_are_batch_by_time,
        rows_are_contiguous_windows,
        y_is_the_next_token,
        ids_are_int64,
        shortest_data_gives_its_only_row,
        starts_are_uniform,
        rows_are_drawn_independently,
        every_batch_is_redrawn,
        reproducible_with_a_seed,
        uses_the_given_generator,
    ),
)
