"""A, then B, then A again: both A give the same. Shows caches keyed too coarsely and buffers used twice."""

from collections.abc import Iterator
from typing import Any

import torch

from harness.claims import _sabotage
from harness.claims._sabotage import Arguments, Call, Sabotage
from harness.core.case import Case
from harness.core.claim import About, Claim, Trial
from harness.core.implementation import Request


def no_memory_of_earlier_calls(trial: Trial) -> None:
    for other in _others(trial):
        a, b = trial.case.calls, other.calls
        outputs = trial.run(trial.case.followed_by(*b, *a), fresh=True).outputs
        first, second, third = outputs[: len(a)], outputs[len(a) : len(a) + len(b)], outputs[len(a) + len(b) :]
        trial.close(third, first, trial.spread(), "after another call, out")
        alone = trial.run(other, fresh=True).outputs
        trial.close(second, alone, trial.spread(other), "after an earlier call, out")


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
