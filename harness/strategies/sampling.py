"""Decks of cases drawn by Hypothesis, and smaller and smaller cases where a claim is violated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed

from harness.core.case import Case


class _Enough(KeyboardInterrupt):
    """Time for shrinking is up. (Hypothesis lets interrupts pass.)"""


_COMMON: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "derandomize": False,
    "suppress_health_check": list(HealthCheck),
    "verbosity": Verbosity.quiet,
    "print_blob": False,
}


HAND = 10
"""Cases drawn at once. From the eleventh valid example on, Hypothesis copies parts of one example over others, five
such mutants for every fresh one: of a deck of 50 drawn in one go, 43 had a batch of 1 and half of them one family."""


def draw(strategy: Any, seed: int, count: int) -> Iterable[Case]:
    """The deck: the same cases for the same seed, drawn hand by hand."""
    found: dict[str, Case] = {}
    for hand_seed in _hands(seed, count):

        @hypothesis_seed(hand_seed)
        @settings(max_examples=HAND, phases=[Phase.generate], **_COMMON)
        @given(strategy)
        def collect(case: Case) -> None:
            found.setdefault(case.key, case)

        collect()
        if len(found) >= count:
            break
    return list(found.values())[:count]


def _hands(seed: int, count: int) -> Iterable[int]:
    """A seed for each hand of a deck, and for as many again: some cases are drawn twice and count once."""
    return (seed * 1_000 + hand for hand in range(2 * -(-count // HAND) + 1))


def shrunk(strategy: Any, seed: int, count: int, violates: Callable[[Case], bool], seconds: float) -> None:
    """Let Hypothesis look for smaller and smaller violating cases, hand by hand; ``violates`` sees them all."""
    deadline = time.perf_counter() + seconds
    for hand_seed in _hands(seed, count):

        @hypothesis_seed(hand_seed)
        @settings(max_examples=HAND, phases=[Phase.generate, Phase.shrink], report_multiple_bugs=False, **_COMMON)
        @given(strategy)
        def search(case: Case) -> None:
            if time.perf_counter() > deadline:
                raise _Enough
            assert not violates(case)

        try:
            search()
        except (AssertionError, _Enough):
            return
        except Exception as error:
            if type(error).__module__.startswith(
                "hypothesis"
            ):  # flaky or unsatisfiable: what was found by then is kept
                return
            raise
