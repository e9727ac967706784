"""Training batches: their cases, and the form of what get_batch returns."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.values import Resource
from specs.shared.generators import new, used_on


def data(length: int, seed: int, family: str, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """Ids that differ from their positions; in the family ``every id once`` an id identifies its position."""
    generator = torch.Generator().manual_seed(seed)
    if family == "every id once":
        return (torch.randperm(length, generator=generator) + 5).to(dtype)
    return (torch.randint(3, (length,), generator=generator) + 7).to(dtype)


def case_of(tokens: torch.Tensor, batch: int, time: int, generator: Resource | None, family: str) -> Case:
    """One call of get_batch."""
    arguments = {"tokens": tokens, "batch": batch, "time": time, "generator": generator}
    return Case.of(arguments, family=family, length=len(tokens), batch=batch, time=time)


@st.composite
def generators(draw: st.DrawFn) -> Resource | None:
    """No generator, or a new one."""
    return draw(st.sampled_from((None, new(draw(st.integers(0, 99))))))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows of 1 to 9 ids, at most as many rows as valid starts; batch and time differ."""
    time = draw(st.integers(1, 9))
    batch = draw(st.integers(1, 6).filter(lambda n: n != time))
    starts = batch + draw(st.sampled_from((0, 1, 2, 5, 30)))
    family = draw(st.sampled_from(("every id once", "every id once", "few ids")))
    tokens = data(time + starts, draw(st.integers(0, 99)), family)
    return case_of(tokens, batch, time, draw(generators()), family)


@st.composite
def other_integers(draw: st.DrawFn) -> Case:
    """Data stored in other integer types, as is done to save space."""
    case = draw(cases())
    dtype = draw(st.sampled_from((torch.int32, torch.int16, torch.uint8, torch.int64)))
    return case.changed(tokens=case.arguments["tokens"].to(dtype))


@st.composite
def shortest_data(draw: st.DrawFn) -> Case:
    """One token more than a row: there is one valid start."""
    time = draw(st.integers(1, 9))
    family = draw(st.sampled_from(("every id once", "few ids")))
    return case_of(data(time + 1, draw(st.integers(0, 9)), family), 1, time, draw(generators()), f"{family}, one start")


@st.composite
def few_starts(draw: st.DrawFn) -> Case:
    """Five or six valid starts, and as many rows."""
    starts, time = draw(st.integers(5, 6)), draw(st.sampled_from((3, 1, 2, 4, 10)))
    tokens = data(starts + time, draw(st.integers(0, 9)), "every id once")
    return case_of(tokens, starts, time, draw(generators()), "every id once")


@st.composite
def long_data(draw: st.DrawFn) -> Case:
    """A thousand valid starts and a generator: two batches of four rows are equal with a probability of 1e-12."""
    tokens, time = data(1000, draw(st.integers(0, 9)), "every id once"), draw(st.integers(2, 5))
    return case_of(tokens, 4 + 2 * (time == 4), time, new(draw(st.integers(0, 99))), "every id once")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """Too few tokens for one row and the token after it."""
    time = draw(st.integers(1, 9))
    tokens = data(time - draw(st.sampled_from((0, 0, 1))), 0, "every id once")
    family = f"{len(tokens)} tokens for rows of {time} and their targets"
    return case_of(tokens, draw(st.integers(1, 3)), time, None, family)


def pairs_of(trial: Trial, case: Case | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(x, y) of every call of a script, as int64 [batch, time]."""
    script = case or trial.case
    found = []
    for call, value in zip(script.calls, trial.run(script, fresh=True).outputs, strict=True):
        found.append(pair_of(value, call.arguments["batch"], call.arguments["time"]))
    return found


def pair_of(value: Any, batch: int, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, y) of one call, checked to be integers [batch, time]."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(torch.is_tensor, value)):
        raise Violation("it must return two tensors: x, and y with the next tokens")
    for name, tensor in zip("xy", value, strict=True):
        if tuple(tensor.shape) != (batch, time):
            sizes = f"with batch = {batch} and time = {time} it must be {[batch, time]}"
            raise Violation(f"{name} is {list(tensor.shape)}; {sizes}")
        if tensor.is_floating_point():
            raise Violation(f"{name} is {tensor.dtype}; ids must be integers")
    return value[0].long(), value[1].long()


def in_a_row(trial: Trial, calls: int, case: Case | None = None) -> Case:
    """The same call many times, with the same generator, which is not reset."""
    one = case or trial.case
    next_call = Call(one.calls[-1].method, {**one.arguments, "generator": used_on(one.arguments["generator"])})
    return one.followed_by(*[next_call] * (calls - 1))


def starts_of(trial: Trial, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> list[list[int]]:
    """Where each row of each batch begins, for data in which every id occurs once."""
    places = {int(token): place for place, token in enumerate(trial.case.arguments["tokens"])}
    legal = len(places) - trial.case.arguments["time"]
    found = [[places.get(int(first), -1) for first in x[:, 0]] for x, _ in pairs]
    for start in (start for row in found for start in row):
        if not 0 <= start < legal:
            valid = f"the valid starts, which leave room for y, are 0 to {legal - 1}"
            raise Violation(f"a row of x begins at {start}; {valid}")
    return found


def fits(row: list[int], tokens: list[int]) -> list[int]:
    """Every position at which a row occurs in the data."""
    return [at for at in range(len(tokens) - len(row) + 1) if tokens[at : at + len(row)] == row]
