"""Which of the changes gives right answers on the cases that are answered wrongly."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence

from harness.core.change import Change
from harness.core.implementation import Implementation
from harness.localisation.experiment import Sample


def find_fixes(
    candidates: Sequence[Change],
    made: Callable[[Change], Implementation | None],
    samples: Sequence[Sample],
    seconds: float,
) -> Iterator[Change]:
    """The changes with which every sample is answered as the reference does, the smallest first.

    ``made``: the implementation with a change in force, None where it cannot be. ``seconds``: processor seconds of this
    thread after which no other change is tried.
    """
    deadline = time.thread_time() + seconds
    for change in candidates if samples else ():
        if time.thread_time() > deadline:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody has written what is tried here
            implementation = made(change)
            fixes = implementation is not None and all(_is_met(implementation, sample) for sample in samples)
        if fixes:
            yield change


def _is_met(implementation: Implementation, sample: Sample) -> bool:
    with_gradients = sample.request.gradients is not None
    return sample.is_met_by(implementation.run(sample.request), gradients=with_gradients)
