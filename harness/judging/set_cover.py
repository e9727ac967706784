"""A small choice of cases that shows everything that a large pool shows, often enough."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet

Shown = AbstractSet[Hashable]


def cover(
    shows: Sequence[Shown], costs: Sequence[float], needs: Mapping[Hashable, int], first: Sequence[int] = ()
) -> list[int]:
    """Indices of the chosen cases, those that show most for their cost first.

    ``shows``: what each case of the pool shows. ``needs``: by how many cases each thing must be shown; where fewer in
    the pool show it, all of those. ``first``: cases that are chosen in any case.
    """
    left = dict(_reachable(shows, needs))
    chosen: list[int] = []

    def take(index: int) -> None:
        chosen.append(index)
        for thing in shows[index]:
            if thing in left:
                left[thing] -= 1
                if not left[thing]:
                    del left[thing]

    for index in first:
        take(index)
    free = [index for index in range(len(shows)) if index not in first]
    while left and free:
        gains = {index: sum(thing in left for thing in shows[index]) for index in free}
        free = [index for index in free if gains[index]]
        if not free:
            break
        best = max(free, key=lambda index: (gains[index] / costs[index], -index))
        free.remove(best)
        take(best)
    return _without_idle(chosen, shows, _reachable(shows, needs), frozenset(first))


def _reachable(shows: Sequence[Shown], needs: Mapping[Hashable, int]) -> dict[Hashable, int]:
    """What can be shown at all, and how often it must be."""
    found: dict[Hashable, int] = {}
    for shown in shows:
        for thing in shown:
            found[thing] = found.get(thing, 0) + 1
    return {thing: min(found[thing], need) for thing, need in needs.items() if thing in found}


def _without_idle(
    chosen: Sequence[int], shows: Sequence[Shown], needs: Mapping[Hashable, int], fixed: AbstractSet[int]
) -> list[int]:
    """Without the cases that later choices made idle, the last ones first."""
    kept = list(chosen)
    times = {thing: sum(thing in shows[index] for index in kept) for thing in needs}
    for index in reversed(chosen):
        mine = [thing for thing in shows[index] if thing in needs]
        if index not in fixed and all(times[thing] > needs[thing] for thing in mine):
            kept.remove(index)
            for thing in mine:
                times[thing] -= 1
    return kept
