"""Which arguments' gradients are wrong, over all cases tried, and how: the words for a failure that nothing else
explains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from harness.core.case import is_float
from harness.core.contract import Argument, Contract
from harness.core.implementation import Answer, Request
from harness.numerics.output_relations import Sighting, relation

SHOWN = 4
"""Wrong gradients that are named one by one."""


@dataclass(frozen=True, eq=False)
class ComparedCall:
    """One request for gradients: what the implementation answered, what is right, and within what tolerance."""

    request: Request
    answer: Answer
    exact: Answer
    tolerance: Answer


def in_words(contract: Contract, runs: Sequence[ComparedCall], reference: Callable[[Request], Answer]) -> str:
    """``the gradient of weight is 0.5 times the expected value; that of x is right``; empty where no gradient is wrong.

    ``reference`` runs a request: what the gradient of a part of the output would be.
    """
    runs = [run for run in runs if run.answer.crash is None and run.exact.crash is None]
    names = dict.fromkeys(n for run in runs for n, value in run.exact.gradients.items() if value is not None)
    wrong: dict[str, str] = {}
    right = []
    for name in names:
        sightings = [s for run in runs if (s := _sighting(name, run, reference)) is not None]
        if not sightings:
            continue
        if all(s.fine for s in sightings):
            right.append(name)
        else:
            wrong[name] = relation(sightings, _parts(contract, name))
    if not wrong:
        return ""
    lines = [f"the gradient of {n} {words or 'is wrong'}" for n, words in list(wrong.items())[:SHOWN]]
    if len(wrong) > SHOWN:
        lines.append(f"{len(wrong) - SHOWN} more are wrong")
    if right:
        which, verb = ("that", "is") if len(right) == 1 else ("those", "are")
        more = " ..." if len(right) > SHOWN else ""
        lines.append(f"{which} of {', '.join(right[:SHOWN])}{more} {verb} right")
    return "; ".join(lines)


def _sighting(name: str, run: ComparedCall, reference: Callable[[Request], Answer]) -> Sighting | None:
    expected, actual = run.exact.gradients.get(name), run.answer.gradients.get(name)
    if not is_float(expected) or not is_float(actual):
        return None
    arguments = dict(run.request.case.tensors())
    ids = {n: t for n, t in arguments.items() if t.dtype in (torch.int64, torch.int32)}
    others = {
        f"is the gradient of {other}": value
        for other, value in run.exact.gradients.items()
        if other != name and is_float(value) and value.shape == expected.shape
    }
    others.update(_of_the_incoming(expected, run))
    found = Sighting(
        actual,
        expected,
        float(run.tolerance.gradients.get(name) or 0.0),
        arguments.get(name),
        run.request.case.dimensions,
        ids,
        others,
    )
    if not found.fine:
        others.update(_of_a_part(name, run, reference))
    else:  # no relation is needed to give what is right
        others.update(dict.fromkeys(PART_WORDS, expected))
    return found


def _of_the_incoming(expected: torch.Tensor, run: ComparedCall) -> dict[str, torch.Tensor]:
    """What comes of the incoming gradient, where it has the shape of this one."""
    out = run.exact.value
    if not is_float(out) or out.shape != expected.shape:
        return {}
    generator = torch.Generator().manual_seed(run.request.gradients or 0)
    incoming = torch.randn(out.shape, generator=generator, dtype=torch.float32).to(expected.dtype)
    return {
        "is the incoming gradient itself": incoming,
        "lacks the incoming gradient itself, which a residual path hands on unchanged": expected - incoming,
        "has the incoming gradient in it once too often": expected + incoming,
    }


ENDS = {"first": 0, "last": -1}
PART_WORDS = {
    f"counts the {end} entry along axis {axis} of the output alone": (axis, index)
    for axis in (0, 1)
    for end, index in ENDS.items()
}


def _of_a_part(
    name: str, run: ComparedCall, reference: Callable[[Request], Answer]
) -> Iterable[tuple[str, torch.Tensor]]:
    """What the gradient would be if one entry of an axis of the output counted alone (a batch that is not summed
    over)."""
    out = run.exact.value
    if not is_float(out) or run.request.output_part is not None:
        return
    for words, (axis, index) in PART_WORDS.items():
        if axis < out.dim() - 1:
            at = index % out.shape[axis] if out.shape[axis] else 0
            case = run.request.case.cast(torch.float64)
            value = reference(replace(run.request, case=case, output_part=(axis, at, at + 1))).gradients.get(name)
            if is_float(value):
                yield words, value


def _parts(contract: Contract, name: str) -> tuple[str, ...]:
    """The names of the equal parts that an argument is stacked from, by the contract."""
    last = name.split(".")[-1].partition("@")[0]
    waiting: list[Argument] = [a for signature in contract.calls.values() for a in signature.arguments]
    while waiting:
        argument = waiting.pop()
        if argument.name == last:
            return tuple(argument.slices)
        waiting += argument.fields
    return ()


__all__: list[Any] = ["ComparedCall", "in_words"]
