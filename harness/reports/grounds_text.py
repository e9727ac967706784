"""What a green rests on, in words: the cases that were given, and what never was."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.grounds import Grounds
from harness.core.record import RunRecord, Status
from harness.reports.wording import listed

FEW = 8
"""From so many given cases on, one line says nothing of the refused ones."""
MOST, REASONS = 4, 2
"""Names and places, and reasons, that are shown of many."""


def given_cases(grounds: Grounds) -> str:
    """``24 of 26 cases given; refused: it takes no dim (2)``; empty where no case was generated."""
    if not grounds.generated:
        return ""
    whole = f"{grounds.given} of {grounds.generated} cases given"
    reasons = [f"{' '.join(why.split())} ({count})" for why, count in grounds.refused.items()]
    return f"{whole}; refused: {_some(reasons, '; ', REASONS)}" if reasons else whole


def not_judged(grounds: Grounds) -> list[str]:
    """What was never given, varied or reached, each in words."""
    found = []
    if grounds.never_given:
        found.append(f"never given: {_some(grounds.never_given)}")
    if grounds.never_varied:
        found.append(f"never varied: {_some(grounds.never_varied)}")
    if grounds.unreached:
        runs = f"{grounds.runs_watched} watched run{'' if grounds.runs_watched == 1 else 's'}"
        found.append(f"not reached in {runs}: {_some(grounds.unreached)}")
    if grounds.unmet:
        found.append(f"no case had {listed(grounds.unmet)}")
    return found


def remarks(record: RunRecord) -> list[str]:
    """One line for each component that was judged, and of which something was not."""
    lines = []
    for name in record.order:
        grounds = record.grounds.get(name)
        if grounds is None or not any(v.status.is_judged or v.status is Status.ADVICE for v in record.of(name)):
            continue
        refused = [given_cases(grounds)] if grounds.refused and grounds.given < FEW else []
        if what := [*not_judged(grounds), *refused]:
            lines.append(f"not judged in {name}: {'; '.join(what)}")
    return lines


def _some(names: Sequence[str], between: str = ", ", most: int = MOST) -> str:
    more = f"{between}and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
