"""Which of the changes gives right answers on the cases that are answered wrongly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

import torch

from harness.core.change import Change
from harness.core.implementation import Answer, Implementation
from harness.core.spent import processor_seconds
from harness.core.tree import leaves
from harness.localisation.experiment import Sample


class Fit(IntEnum):
    """How the answers with a change are the reference's."""

    NONE = 0
    NEAR = 1
    """Up to what a table in float32 does to them."""
    ROUNDED = 2
    """Up to float32, in which they are computed: every number of theirs is one of float32."""
    EXACT = 3


def find_fixes(
    candidates: Sequence[Change],
    made: Callable[[Change], Implementation | None],
    samples: Sequence[Sample],
    seconds: float,
) -> Iterator[Change]:
    """The changes with which every sample is answered as the reference does, the smallest first; after them those with
    which it nearly is. What comes of it in float32 is for the proof to say.

    ``made``: the implementation with a change in force, None where it cannot be. ``seconds``: processor seconds of this
    thread after which no other change is tried.
    """
    deadline = processor_seconds() + seconds
    near = []
    for change in candidates if samples else ():
        if processor_seconds() > deadline:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody has written what is tried here
            implementation = made(change)
            fit = _fit(implementation, samples) if implementation is not None else Fit.NONE
        if fit >= Fit.ROUNDED:
            yield change
        elif fit is Fit.NEAR:
            near.append(change)
    yield from near


def _fit(implementation: Implementation, samples: Sequence[Sample]) -> Fit:
    found = Fit.EXACT
    for sample in samples:
        with_gradients = sample.request.gradients is not None
        answer = implementation.run(sample.request)
        if sample.is_met_by(answer, gradients=with_gradients):
            continue
        if with_gradients or not sample.is_nearly_met_by(answer):
            return Fit.NONE
        found = min(found, Fit.ROUNDED if _is_rounded(answer) else Fit.NEAR)
    return found


def _is_rounded(answer: Answer) -> bool:
    """Whether every number of an answer is one of float32."""
    tensors = [leaf for _, leaf in leaves(list(answer.outputs)) if torch.is_tensor(leaf) and leaf.is_floating_point()]
    return bool(tensors) and all(torch.equal(one.float().to(one.dtype), one) for one in tensors)
