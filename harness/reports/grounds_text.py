"""What a green rests on, in words: the cases that were given, and what never was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.core.grounds import Grounds
from harness.core.record import RunRecord, Status, Verdict
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
    """At most one line: of what was judged, what was not. In full of a single component, of several the names alone."""
    judged = {name for name in record.order if any(_is_judged(v) for v in record.of(name))}
    grounds = {name: record.grounds[name] for name in record.order if name in judged and name in record.grounds}
    failing = {v.component for v in record.verdicts if v.failing}  # what raises reaches nothing behind it
    grounds = {name: replace(one, unreached=()) if name in failing else one for name, one in grounds.items()}
    lacking = {name: what for name, one in grounds.items() if (what := [*not_judged(one), *_refused(one)])}
    if len(lacking) < 2:
        return [f"not judged in {name}: {'; '.join(what)}" for name, what in lacking.items()]
    kinds = {
        "few cases given": [name for name in lacking if _refused(grounds[name])],
        "arguments never given": [name for name in lacking if grounds[name].never_given],
        "settings never varied": [name for name in lacking if grounds[name].never_varied],
        "lines not reached": [name for name in lacking if grounds[name].unreached],
        "no telling case": [name for name in lacking if grounds[name].unmet],
    }
    told = "; ".join(f"{kind} ({_some(names)})" for kind, names in kinds.items() if names)
    return [f"not judged in {len(lacking)} components: {told}. The record lists all of it, under grounds."]


def _is_judged(verdict: Verdict) -> bool:
    return verdict.status.is_judged or verdict.status is Status.ADVICE


def _refused(grounds: Grounds) -> list[str]:
    """How many cases were given, where few were and others refused."""
    return [given_cases(grounds)] if grounds.refused and grounds.given < FEW else []


def _some(names: Sequence[str], between: str = ", ", most: int = MOST) -> str:
    more = f"{between}and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
