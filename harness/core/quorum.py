"""Which cases can tell: a pass rests on at least one of them, or it is barely a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.core.case import Case


@dataclass(frozen=True)
class Quorum:
    """Something that at least one of the cases must have, so that a pass means something.

    ``case``: such a case in words ("more than one head"). ``tells(case)``: whether a case has it.
    """

    case: str
    tells: Callable[[Case], bool]


def at_least(case: str, **sizes: int) -> Quorum:
    """A case whose named sizes are at least these. A size that a case does not name is no hindrance."""

    def tells(one: Case) -> bool:
        return all(one.dimensions.get(name, least) >= least for name, least in sizes.items())

    return Quorum(case, tells)
