"""Which levels of ``--impl-isolation`` hold on this machine, shown by trying."""

from __future__ import annotations

from collections.abc import Iterator

from harness.isolation.canary import promises, told_of
from harness.isolation.level import Level
from harness.judging.places_of_code import problem_with


def levels_here() -> Iterator[str]:
    """A line for each level, and one for each promise that no attempt proves."""
    width = max(len(level) for level in Level)
    for level in Level:
        problem = problem_with(level)
        named = ", ".join(promises(level)) or "nothing is kept apart"
        yield f"{level!s:<{width}}  " + (f"does not hold: {problem}" if problem else f"holds: {named}")
        for told in () if problem else told_of(level):
            yield f"{'':<{width}}  not promised: {told}"
