"""Which pairs of known mistakes agree best with what each of them does alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.core.mistake import KnownMistake

SILENT, EXPLAINS, ELSE = "silent", "explains", "else"


@dataclass(frozen=True)
class Alone:
    """What one mistake alone does on each request of the sample, and the first wrong answer that it leaves
    unexplained."""

    mistake: KnownMistake
    marks: tuple[str, ...]
    left: int


def ranked(alone: Sequence[Alone], places: Sequence[int]) -> Iterator[tuple[tuple[KnownMistake, KnownMistake], int]]:
    """Every two mistakes, those first that agree best with what each does alone, and the wrong answer that tells
    most."""
    found: list[tuple[tuple[int, bool, int, int], tuple[KnownMistake, KnownMistake], int]] = []
    for one, other in itertools.combinations(alone, 2):
        marks = list(zip(one.marks, other.marks, strict=True))
        against = sum(not _can_act_together(*both) for both in marks)
        explained = sum(EXPLAINS in both for both in marks)
        first_left = min(one.left, other.left)
        telling = next((n for n, both in zip(places, marks, strict=True) if both == (ELSE, ELSE)), first_left)
        elsewhere = one.mistake.component != other.mistake.component
        found.append(((against, elsewhere, -explained, len(found)), (one.mistake, other.mistake), telling))
    for _, pair, telling in sorted(found, key=lambda entry: entry[0]):
        yield pair, telling


def forms_before_their_likes(equals: Sequence[KnownMistake]) -> list[KnownMistake]:
    """What explains equally well, in its order, but a legal form before the mistake that says it looks like it."""
    ordered = list(equals)
    for form in [one for one in equals if one.variant]:
        likes = [place for place, one in enumerate(ordered) if form.full_name in one.alike]
        if likes and likes[0] < ordered.index(form):
            ordered.remove(form)
            ordered.insert(likes[0], form)
    return ordered


def _can_act_together(one: str, other: str) -> bool:
    """Whether two mistakes that leave each other alone can explain a wrong answer, by what each of them does there
    alone."""
    return {one, other} == {SILENT, EXPLAINS} or one == other == ELSE
