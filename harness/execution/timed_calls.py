"""Calls of a case for timing: each with what earlier ones returned, or several as one, each handed on to the next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.core.case import HARNESS_STEP, Call
from harness.core.claim import NotSupported
from harness.core.implementation import MeasuredOutput
from harness.core.tree import Path, map_leaves
from harness.core.values import Earlier, Given, load_function
from harness.execution.bound_call import Ready
from harness.execution.session import Session


class Later:
    """What a call is yet to return. ``at``: its index; ``entry``: of what it returns, None for all."""

    def __init__(self, at: int, entry: int | None) -> None:
        self.at, self.entry = at, entry


def made(session: Session, calls: Sequence[Call], at: int, outputs: Sequence[Any]) -> Any:
    """What call number ``at`` returns; ``outputs``: what those before it returned."""
    call = resolved(calls, at, outputs)
    if call.method == HARNESS_STEP:
        arguments = dict(call.arguments)
        return load_function(arguments.pop("do"))(**arguments)
    returned = session.call(call)
    return returned.value if isinstance(returned, MeasuredOutput) else returned


def resolved(calls: Sequence[Call], at: int, outputs: Sequence[Any]) -> Call:
    """The call with what earlier ones returned or were given; what is yet to be returned as a :class:`Later`."""

    def resolve(_: Path, leaf: Any) -> Any:
        if isinstance(leaf, Given):
            return next(c.arguments[leaf.argument] for c in reversed(calls[:at]) if c.method == leaf.method)
        if not isinstance(leaf, Earlier):
            return leaf
        which = [i for i, c in enumerate(calls[:at]) if c.method == leaf.method][-1 - leaf.back]
        if which >= len(outputs):
            return Later(which, leaf.entry)
        return outputs[which] if leaf.entry is None else outputs[which][leaf.entry]

    return calls[at].with_arguments(map_leaves(dict(calls[at].arguments), resolve))


def one_after_the_other(steps: Sequence[Ready], first: int) -> Ready:
    """Several calls as one, each given what those before it returned. ``first``: the index of the first.

    Raises NotSupported where one of them is more than a function and its arguments.
    """
    plan = []
    for step in steps:
        if not isinstance(step.call, partial) or step.handed or step.backward:
            raise NotSupported("calls of such an adapter cannot be timed one after the other")
        plan.append((step.call.func, step.call.args, step.call.keywords))

    def all_of_them() -> list[Any]:
        returned: list[Any] = []

        def now(value: Any) -> Any:
            if not isinstance(value, Later):
                return value
            earlier = returned[value.at - first]
            return earlier if value.entry is None else earlier[value.entry]

        for function, args, keywords in plan:
            returned.append(function(*map(now, args), **{name: now(value) for name, value in keywords.items()}))
        return returned

    def values(raw: list[Any]) -> list[Any]:
        return [step.value(one) for step, one in zip(steps, raw, strict=True)]

    return Ready(all_of_them, values, steps[-1].wait)
