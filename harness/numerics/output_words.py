"""How a wrong output is related to the right one, in words: half of it, moved by one place, back to front, ..."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import torch

from harness.core.case import is_float
from harness.core.contract import Contract
from harness.numerics.gradient_relations import ComparedCall
from harness.numerics.output_relations import Sighting, fits_all, relation

AXES = (-1, -2, -3)
"""Axes along which the numbers may have been moved."""


def output_in_words(contract: Contract, runs: Sequence[ComparedCall]) -> str:
    """``the output is 0.5 times the expected value``; empty where no plain relation holds in every case.

    Only where the last call returns one tensor of the right shape.
    """
    sightings = [found for run in runs if (found := _sighting(run)) is not None]
    if not sightings or any(s.actual.shape != s.expected.shape for s in sightings):
        return ""
    words = relation(sightings) or _moved(sightings, _axis_names(contract))
    return f"the output {words}" if words else ""


def _sighting(run: ComparedCall) -> Sighting | None:
    if run.answer.crash is not None or run.exact.crash is not None:
        return None
    actual, expected, tolerance = run.answer.value, run.exact.value, (run.tolerance.outputs or (0.0,))[-1]
    if not is_float(actual) or not is_float(expected) or tolerance is None:
        return None
    return Sighting(actual, expected, float(tolerance), sizes=run.request.case.dimensions)


def _moved(sightings: Sequence[Sighting], names: Sequence[str]) -> str:
    """Whether the right numbers stand at other places along one axis, in every case."""
    for words, axis, change in _moves():
        where = f"axis {names[axis]}" if len(names) >= -axis else ("its last axis" if axis == -1 else f"axis {axis}")
        if fits_all(sightings, lambda s, a=axis, c=change: _along(s, a, c)):  # type: ignore[misc]
            return words.format(where)
    return ""


def _moves() -> Iterator[tuple[str, int, Callable[[torch.Tensor, int], torch.Tensor]]]:
    """(in words, the axis, what is done to the right output)."""
    for axis in AXES:
        yield "is the expected one moved by one place along {}", axis, lambda t, a: t.roll(1, a)
        yield "is the expected one moved back by one place along {}", axis, lambda t, a: t.roll(-1, a)
        yield "is the expected one back to front along {}", axis, lambda t, a: t.flip(a)


def _along(s: Sighting, axis: int, change: Callable[[torch.Tensor, int], torch.Tensor]) -> torch.Tensor | None:
    """The right output changed along an axis; None where it has no such axis, or one number along it."""
    if s.expected.dim() < -axis or s.expected.shape[axis] < 2:
        return None
    return change(s.expected, axis)


def _axis_names(contract: Contract) -> tuple[str, ...]:
    """The names of the last result's axes, as the contract states them."""
    stated = re.search(r"\[([^\]]*)\]", list(contract.calls.values())[-1].result)
    return tuple(name.strip() for name in stated[1].split(",")) if stated else ()
