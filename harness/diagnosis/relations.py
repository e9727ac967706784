"""Relations to the reference that explain what no known mistake does: a constant, a factor, an argument that is fixed.

Tried where nothing in the catalogue fits, for a limited time, and told only where the reference with the relation in
it gives the implementation's answer to every case, right and wrong ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from harness.core.contract import Contract
from harness.core.implementation import Implementation
from harness.core.mistake import Edit, KnownMistake
from harness.diagnosis.fitting import Fitter, sample_of
from harness.diagnosis.literals import Literal
from harness.diagnosis.matching import Observation
from harness.diagnosis.sites import Curve, Site, sites_of

MOST_STARTS = 12
"""Numbers of the implementation's own source that a search begins at."""
MOST_SHARE = 4
"""One place has this part of the time; when a relation is found, so much is left to find one that is told better."""


def told_first(relations: Sequence[tuple[Site, KnownMistake, float | None]]) -> KnownMistake:
    """Of relations that explain the same answers, the one that is the easiest to understand: that of a short number."""
    return min(relations, key=lambda one: (_digits(one[2]), one[0].rank))[1]


def _digits(number: float | None) -> int:
    """How many significant digits a number has, beyond three."""
    return 0 if number is None else max(0, len(f"{number:.15g}".partition("e")[0].replace(".", "").strip("-0")) - 3)


def relation_behind(
    contract: Contract,
    wrong: Sequence[Observation],
    made: Callable[[tuple[Edit, ...]], Implementation],
    explains: Callable[[KnownMistake], bool],
    literals: Sequence[Literal],
    always: tuple[Edit, ...],
    seconds: float,
) -> KnownMistake | None:
    """The relation that explains every answer; None where there is none, or none is found in time.

    ``wrong``: the wrong answers, the cheapest first. ``made``: the reference with edits in force, beside those of
    ``always``. ``seconds``: of this thread's time.
    """
    deadline = time.thread_time() + seconds
    sample = sample_of(wrong)
    near = [literal.number for literal in literals if literal.is_near] or [literal.number for literal in literals]
    found: list[tuple[Site, KnownMistake, float | None]] = []
    for site in sites_of(contract):
        left = min(deadline, time.thread_time() + seconds / MOST_SHARE)
        fitter = None if sample is None else Fitter(sample, made, list(dict.fromkeys(near))[:MOST_STARTS], left)
        numbers: Iterable[float | None] = (
            [None] if site.curve is Curve.NONE else fitter.numbers(site, always) if fitter else []
        )
        for number in numbers:
            if explains(relation := site.at(number)):
                found.append((site, relation, number))
                deadline = min(deadline, time.thread_time() + seconds / MOST_SHARE)
                break
        if time.thread_time() > deadline:
            break
    return told_first(found) if found else None
