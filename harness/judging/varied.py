"""Pairs of options that random cases miss by chance: cases from a larger pool that have them.

A fault may need two things together: no bias and a large epsilon, one head and an odd length. Each is drawn often, both
in one case of thirty; of fifty cases none has both at one seed in five.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch

from harness.core.case import Case
from harness.core.values import Settings

Option = tuple[str, Any]
"""What a case has or is in one respect: a name, and which."""
POOL = 3
"""So many times the cases of a run are looked at. Of 150 cases, a pair that one in thirty has is in all but 0.6 %."""
SHARE = 0.25
"""At most so many are added, in proportion to the cases of a run."""
MOST_FIELDS = 24
"""A record of settings has no more fields; a vocabulary has."""
COMMON = 0.04
"""An option that a smaller share of the pool has is a value of its own (a seed, a drawn number), and forms no pairs."""


def with_missing_pairs(cases: Sequence[Case], pool: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, and those of the pool that have pairs of options which none of them has, the most telling first."""
    options = [options_of(case) for case in pool]
    times = Counter(option for each in options for option in each)
    common = {option for option, number in times.items() if number >= max(COMMON * len(pool), 2)}
    pairs = [_pairs(each & common) for each in options]
    seen = set[Any]().union(*(_pairs(options_of(case) & common) for case in cases))
    chosen, keys = list(cases), {case.key for case in cases}
    for _ in range(round(SHARE * len(cases))):
        new = [len(each - seen) for each in pairs]
        best = max(range(len(pool)), key=lambda at: new[at], default=0)
        if not new or not new[best]:
            break
        seen |= pairs[best]
        if pool[best].key not in keys:
            keys.add(pool[best].key)
            chosen.append(pool[best])
    return tuple(chosen)


def options_of(case: Case) -> frozenset[Option]:
    """What a case has: its sizes (one, odd or even), its settings, what is left out, and which numbers ids are."""
    found: set[Option] = {
        (name, "one" if size == 1 else "odd" if size % 2 else "even") for name, size in case.dimensions.items()
    }
    for call in case.calls:
        settings = {value for value in call.arguments.values() if type(value) is int}
        for name, value in call.arguments.items():
            found.update(_of_argument(f"{call.method}.{name}", value, settings))
    return frozenset(found)


def _of_argument(label: str, value: Any, settings: set[int]) -> Iterator[Option]:
    if value is None or isinstance(value, (bool, str, int, float)):
        yield label, value
    elif isinstance(value, torch.Tensor) and not value.is_floating_point() and value.dtype != torch.bool:
        yield f"{label} repeated", value.unique().numel() < value.numel()
        for setting in settings:
            equal, rest = int((value == setting).sum()), int((value != setting).sum())
            yield f"{label} equal to a setting", min(equal, 2)
            yield f"{label} other than a setting", min(rest, 2)
    elif isinstance(value, (list, tuple)):
        yield f"{label} length", min(len(value), 3)
        yield f"{label} with None", any(entry is None for entry in value)
    elif isinstance(value, (Settings, Mapping)):
        inner = value.as_dict() if isinstance(value, Settings) else value
        for name, entry in inner.items() if len(inner) <= MOST_FIELDS else ():
            if entry is None or isinstance(entry, (bool, str, int, float)):
                yield f"{label}.{name}", entry


def _pairs(options: frozenset[Option]) -> set[Any]:
    return {frozenset(pair) for pair in combinations(options, 2) if pair[0][0] != pair[1][0]}
