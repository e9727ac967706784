"""A, then B, then A again: both A give the same. Shows caches keyed too coarsely and buffers used twice.

And once with other numbers in the very tensor of the call before: shows caches keyed by object or address.
"""

from collections.abc import Iterator
from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call, Sabotage
from harness.core.case import CALL, Case, harness_step, is_float
from harness.core.case import Call as CaseCall
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request
from harness.core.values import Given

SAME_TENSOR = "harness.claims.no_memory_of_earlier_calls:overwritten"


def no_memory_of_earlier_calls(trial: Trial) -> None:
    for other in _others(trial):
        a, b = trial.case.calls, other.calls
        outputs = trial.run(trial.case.followed_by(*b, *a), fresh=True).outputs
        first, second, third = outputs[: len(a)], outputs[len(a) : len(a) + len(b)], outputs[len(a) + len(b) :]
        trial.close(third, first, trial.spread(), "after another call, out")
        alone = trial.run(other, fresh=True).outputs
        trial.close(second, alone, trial.spread(other), "after an earlier call, out")
    for name, value in _inputs(trial).items():
        _same_tensor(trial, name, value.flatten().flip(0).reshape(value.shape))


def _same_tensor(trial: Trial, name: str, numbers: torch.Tensor) -> None:
    """A second call with the tensor of the first, in which other numbers stand by then, as in a reused buffer."""
    (call,) = trial.case.calls
    again = CaseCall(CALL, {**call.arguments, name: Given(CALL, name)})
    write = harness_step(SAME_TENSOR, buffer=Given(CALL, name), numbers=numbers)
    script = Case((call, write, again), trial.case.dimensions, trial.case.family)
    alone = trial.case.changed(**{name: numbers})
    expected, actual = trial.run(alone, fresh=True).value, trial.run(script, fresh=True).value
    trial.close(actual, expected, trial.spread_of_value(alone), f"with other numbers in the same tensor {name}, out")


def overwritten(buffer: torch.Tensor, numbers: torch.Tensor) -> None:
    """Put these numbers into a tensor that was given before."""
    with torch.no_grad():
        buffer.copy_(numbers)


def _inputs(trial: Trial) -> dict[str, torch.Tensor]:
    """The floating-point inputs of a case that is one call of a function."""
    if not trial.contract.is_function or len(trial.case.calls) > 1 or trial.is_varied:
        return {}  # a declared form may make another argument of one, which needs its numbers
    given = {a.name: trial.case.arguments.get(a.name) for a in trial.contract.arguments("input")}
    return {name: value for name, value in given.items() if is_float(value) and value.is_contiguous()}


def _others(trial: Trial) -> Iterator[Case]:
    """Two other generated cases, and this one with its inputs in reverse: the same sizes with other numbers."""
    yield from trial.companions
    if trial.contract.is_function:
        inputs = {a.name: trial.case.arguments.get(a.name) for a in trial.contract.arguments("input")}
        yield trial.case.changed(
            **{n: v.flatten().flip(0).reshape(v.shape) for n, v in inputs.items() if torch.is_tensor(v)}
        )


def adds_the_number_of_calls() -> Sabotage:
    calls_so_far = 0

    def sabotage(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
        nonlocal calls_so_far
        out = call(arguments)
        calls_so_far += method != "build"
        return _sabotage.anything(out, lambda tensor: tensor + calls_so_far) if calls_so_far % 3 == 0 else out

    return sabotage


CLAIM = Claim(
    "no_memory_of_earlier_calls",
    "an earlier call with other arguments does not change the output",
    no_memory_of_earlier_calls,
    needs=lambda contract: not (contract.draws or contract.returns_objects),
    sabotage=adds_the_number_of_calls(),
    max_cases=20,
    structural=True,
    about=frozenset({About.STATE, About.CONSISTENCY}),
)
