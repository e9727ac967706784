"""Batches for training: stretches of the data from anywhere in it, and the same one token later.

How the starts are drawn is everybody's own business (torch, NumPy or Python, with or without putting back, from a
generator that is given or from the global ones): no two need draw alike. What is promised holds for every draw, or of
the frequencies of many.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.values import Resource
from harness.numerics.statistics import FALSE_ALARM, binomial_two_sided
from reference_model.get_batch import get_batch
from specs.naming.dialects import BATCHES
from specs.shared.generators import new, used_on

PER_START = 400
"""Draws per legal start on average: a start that is never drawn, or half or twice as often as it is due, cannot be chance."""
MANY_CASES = 2
ODDS = FALSE_ALARM / MANY_CASES
CALLS = 30
"""Batches in a row: that rows (or batches) drawn from five starts are all alike by chance has odds below 5 ** -29 = 6e-21."""


# cases ---------------------------------------------------------------------------------------------------------------


def data(length: int, seed: int, family: str, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """Ids of which none is its own place. ``every id once``: the place of a token is told by its value."""
    generator = torch.Generator().manual_seed(seed)
    if family == "every id once":
        return (torch.randperm(length, generator=generator) + 5).to(dtype)
    return (torch.randint(3, (length,), generator=generator) + 7).to(dtype)


def case_of(tokens: torch.Tensor, batch: int, time: int, generator: Resource | None, family: str) -> Case:
    arguments = {"tokens": tokens, "batch": batch, "time": time, "generator": generator}
    return Case.of(arguments, family=family, length=len(tokens), batch=batch, time=time)


@st.composite
def generators(draw: st.DrawFn) -> Resource | None:
    return draw(st.sampled_from((None, new(draw(st.integers(0, 99))))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows of 1 to 9 ids, no more of them than there are places to start; batch, time and their number differ."""
    time = draw(st.integers(1, 9))
    batch = draw(st.integers(1, 6).filter(lambda n: n != time))
    starts = batch + draw(st.sampled_from((0, 1, 2, 5, 30)))
    family = draw(st.sampled_from(("every id once", "every id once", "few ids")))
    tokens = data(time + starts, draw(st.integers(0, 99)), family)
    return case_of(tokens, batch, time, draw(generators()), family)


@st.composite
def other_integers(draw: st.DrawFn) -> Case:
    """Data as it is stored to save space: fewer bits per id."""
    case = draw(cases())
    dtype = draw(st.sampled_from((torch.int32, torch.int16, torch.uint8, torch.int64)))
    return case.changed(tokens=case.arguments["tokens"].to(dtype))


@st.composite
def shortest_data(draw: st.DrawFn) -> Case:
    """One token more than a row: there is one place to start."""
    time = draw(st.integers(1, 9))
    family = draw(st.sampled_from(("every id once", "few ids")))
    return case_of(data(time + 1, draw(st.integers(0, 9)), family), 1, time, draw(generators()), f"{family}, one start")


@st.composite
def few_starts(draw: st.DrawFn) -> Case:
    """Five or six places to start, and as many rows."""
    starts, time = draw(st.integers(5, 6)), draw(st.sampled_from((3, 1, 2, 4, 10)))
    tokens = data(starts + time, draw(st.integers(0, 9)), "every id once")
    return case_of(tokens, starts, time, draw(generators()), "every id once")


@st.composite
def long_data(draw: st.DrawFn) -> Case:
    """A thousand places to start, and a generator: that two batches of four rows are alike by chance has odds 1e-12."""
    tokens, time = data(1000, draw(st.integers(0, 9)), "every id once"), draw(st.integers(2, 5))
    return case_of(tokens, 4 + 2 * (time == 4), time, new(draw(st.integers(0, 99))), "every id once")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """Too little data: not even one row has a token that follows it."""
    time = draw(st.integers(1, 9))
    tokens = data(time - draw(st.sampled_from((0, 0, 1))), 0, "every id once")
    return case_of(
        tokens, draw(st.integers(1, 3)), time, None, f"{len(tokens)} tokens for rows of {time} and their targets"
    )


# what came back ------------------------------------------------------------------------------------------------------


def pairs_of(trial: Trial, case: Case | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(x, y) of every call of a script, as int64 [batch, time]."""
    script = case or trial.case
    found = []
    for call, value in zip(script.calls, trial.run(script, fresh=True).outputs, strict=True):
        found.append(pair_of(value, call.arguments["batch"], call.arguments["time"]))
    return found


def pair_of(value: Any, batch: int, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(torch.is_tensor, value)):
        raise Violation("it must return two tensors: x, and y with the next tokens")
    for name, tensor in zip("xy", value, strict=True):
        if tuple(tensor.shape) != (batch, time):
            raise Violation(
                f"{name} is {list(tensor.shape)}; with batch = {batch} and time = {time} it must be {[batch, time]}"
            )
        if tensor.is_floating_point():
            raise Violation(f"{name} is {tensor.dtype}; ids must be integers")
    return value[0].long(), value[1].long()


def in_a_row(trial: Trial, calls: int, case: Case | None = None) -> Case:
    """The same call many times, going on with the same generator."""
    one = case or trial.case
    again = Call(one.calls[-1].method, {**one.arguments, "generator": used_on(one.arguments["generator"])})
    return one.followed_by(*[again] * (calls - 1))


def starts_of(trial: Trial, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> list[list[int]]:
    """Where each row of each batch begins; every id stands once in the data."""
    places = {int(token): place for place, token in enumerate(trial.case.arguments["tokens"])}
    legal = len(places) - trial.case.arguments["time"]
    found = [[places.get(int(first), -1) for first in x[:, 0]] for x, _ in pairs]
    for start in (start for row in found for start in row):
        if not 0 <= start < legal:
            raise Violation(
                f"a row of x begins at {start}; the valid starts, which leave room for y, are 0 to {legal - 1}"
            )
    return found


def fits(row: list[int], tokens: list[int]) -> list[int]:
    """Every place where a row stands in the data."""
    return [at for at in range(len(tokens) - len(row) + 1) if tokens[at : at + len(row)] == row]


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
                    raise Violation(
                        f"row {b} of {name} is not a contiguous window of the data: {row}",
                        worst=f"the data is {tokens}",
                    )


@claim(
    "y holds the next token in the data for each token of x", broken_by="ids_plus_one", aliases=("y_is_what_follows",)
)
def y_is_the_next_token(trial: Trial) -> None:
    """In the data: y is not x plus one, nor x turned round."""
    tokens = trial.case.arguments["tokens"].tolist()
    for x, y in pairs_of(trial):
        for b, (row, target) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
            if not any(fits(target, tokens[at + 1 : at + 1 + len(row)]) for at in fits(row, tokens)):
                where = fits(row, tokens)
                follows = (
                    f"; the next tokens in the data are {tokens[where[0] + 1 : where[0] + 1 + len(row)]}"
                    if where
                    else ""
                )
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
    max_cases=MANY_CASES,
    false_alarm=FALSE_ALARM,
    power=0.999,
    aliases=("every_start_equally_often",),
)
def starts_are_uniform(trial: Trial) -> None:
    """How often each start came up is binomial; rows that are drawn without putting back vary less, never more."""
    batch, time = trial.case.arguments["batch"], trial.case.arguments["time"]
    legal = len(trial.case.arguments["tokens"]) - time
    trial.run(
        in_a_row(trial, 2), fresh=True
    )  # judged elsewhere: a short script tells mistakes apart sooner than a long one
    script = in_a_row(trial, -(-PER_START * legal // batch))
    counts = Counter(start for row in starts_of(trial, pairs_of(trial, script)) for start in row)
    draws = counts.total()
    odds = {start: binomial_two_sided(counts[start], draws, 1 / legal) for start in range(legal)}
    start = min(odds, key=lambda one: odds[one])
    if odds[start] < ODDS / legal:
        which = "the last start" if start == legal - 1 else "the first start" if start == 0 else "the start"
        often = "never" if not counts[start] else f"{counts[start]} times"
        raise Violation(
            f"{which}, {start}, was drawn {often} in {draws} draws; each of 0 to {legal - 1} is expected about {draws // legal} times",
            worst=", ".join(f"{one}: {counts[one]}" for one in range(legal)),
        )


@claim(
    "each row of a batch has its own start",
    broken_by="one_start_for_all_rows",
    cases=few_starts,
    max_cases=MANY_CASES,
    false_alarm=1e-18,
    power=1.0,
    aliases=("rows_are_drawn_one_by_one",),
)
def rows_are_drawn_independently(trial: Trial) -> None:
    found = starts_of(trial, pairs_of(trial, in_a_row(trial, CALLS)))
    for one, other in pairwise(range(trial.case.arguments["batch"])):
        if all(row[one] == row[other] for row in found):
            raise Violation(f"rows {one} and {other} started at the same place in all {CALLS} batches")


@claim(
    "consecutive calls give different batches",
    broken_by="reseeded_in_every_call",
    cases=few_starts,
    max_cases=MANY_CASES,
    false_alarm=1e-18,
    power=1.0,
    aliases=("every_batch_is_drawn_anew",),
)
def every_batch_is_redrawn(trial: Trial) -> None:
    """Without a generator, and with one where it is taken."""
    for generator, again in ((None, "in a row"), (new(7), "with the same generator")):
        with suppress(NotSupported):
            found = starts_of(trial, pairs_of(trial, in_a_row(trial, CALLS, trial.case.changed(generator=generator))))
            if all(row == found[0] for row in found):
                raise Violation(f"{CALLS} calls {again} gave the same batch every time; each call must draw a new one")


@claim(
    "the same seed gives the same batches",
    broken_by="seeded_from_the_clock",
    max_cases=12,
    aliases=("same_seed_same_batches",),
)
def reproducible_with_a_seed(trial: Trial) -> None:
    """The generator's seed, or that of the global generators of torch, NumPy and Python."""
    script = in_a_row(trial, 3)
    first, second = pairs_of(trial, script), pairs_of(trial, script)
    if not all(
        torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    ):
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
    """Whatever was drawn elsewhere, the same seed gives the same batch; another seed, another."""
    (seed,) = trial.case.arguments["generator"].arguments
    method = trial.case.calls[-1].method

    def batch(*generators: Resource | None) -> torch.Tensor:
        calls = tuple(Call(method, {**trial.case.arguments, "generator": one}) for one in generators)
        return torch.cat(pairs_of(trial, Case(calls, trial.case.dimensions, trial.case.family))[-1])

    alone, other = batch(new(seed)), batch(new(seed + 1))
    if torch.equal(alone, other):
        raise Violation(
            f"generators with the seeds {seed} and {seed + 1} give the same batch: the generator is not used"
        )
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
                Argument("batch", "integer", role="setting"),
                Argument("time", "integer", role="setting"),
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
