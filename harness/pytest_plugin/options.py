"""What the ``--impl-...`` options say, parsed and checked. A wrong value is a UsageError that names its option."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from harness.core.errors import UsageError, did_you_mean
from harness.core.hint import Hint
from harness.isolation.level import Level
from harness.judging.cases import EFFORTS
from harness.project.expected_failures import baseline_record
from harness.project.shards import Shard, shard_of
from harness.reports.writing import BENCHMARKS_RECORD, USUAL_RECORD, Destinations, UnknownFormat, destinations

FRESH_SEEDS = 1_000_000
"""Without ``--impl-seed``, one of so many seeds is taken: short enough to be typed."""
FRESH_SEED = "impl_fresh_seed"
"""Told to workers: the seed that they are given is one that nobody asked for."""


@dataclass(frozen=True)
class RunOptions:
    """The options of one run.

    ``baseline``: path of an earlier record, or empty. ``cases``: per component; None for what its contract states.
    ``time_limit``: processor seconds per case.
    """

    impl: str
    seed: int
    cases: int | None
    time_limit: int
    effort: str
    variants: str
    required: frozenset[str]
    baseline: str
    shard: Shard
    destinations: Destinations
    keeps_tolerances: bool = False
    """Whether tolerances are kept for the next run."""
    kept_seed: int | None = None
    """The seed whose fresh cases are among them; None where the next run will have another seed."""
    isolation: Level = Level.NONE
    """Where the implementation's code runs."""
    hints: Hint = Hint.LINE
    """How much of what is wrong is shown. Changes are sought only where they are shown."""


def parse_options(given: Mapping[str, str], components: Collection[str], timed: bool) -> RunOptions:
    """The options as pytest has them (``impl_seed``: "7"). ``timed``: benchmarks have a record of their own.

    Raises UsageError naming the option, what it takes and the nearest legal value.
    """
    cases = _whole_number("--impl-cases", given["impl_cases"]) if given["impl_cases"] else None
    time_limit = _whole_number("--impl-timeout", given["impl_timeout"])
    try:
        reports = destinations(given["impl_report"])
    except UnknownFormat as wrong:
        raise UsageError(f"--impl-report: {wrong}") from None
    if timed and reports.record == USUAL_RECORD:
        reports = replace(reports, record=BENCHMARKS_RECORD)
    effort = _effort(given["impl_effort"])
    seed = _seed(given["impl_seed"], given["impl_baseline"])
    lasts = bool(given["impl_seed"] or given["impl_baseline"]) and not given.get(FRESH_SEED)
    return RunOptions(
        impl=given["impl"],
        seed=seed,
        cases=cases,
        time_limit=time_limit,
        effort=effort,
        variants=given["impl_variant"],
        required=_required(given["impl_require"], components),
        baseline=given["impl_baseline"],
        shard=shard_of(given["impl_shard"]),
        destinations=reports,
        keeps_tolerances=not given.get("impl_no_cache"),
        kept_seed=seed if lasts else None,
        hints=_hints(given["impl_hints"]),
        isolation=_isolation(given["impl_isolation"]),
    )


def _seed(given: str, baseline: str) -> int:
    """The seed that was asked for; the baseline's, so that what is new is new in the code; or a fresh one."""
    if given:
        return _whole_number("--impl-seed", given)
    if baseline:
        return baseline_record(baseline).seed
    return random.SystemRandom().randrange(FRESH_SEEDS)


def _required(text: str, components: Collection[str]) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return frozenset(components)
    for name in names:
        if name not in components:
            hint = did_you_mean(name, components) or "there are: " + ", ".join(components)
            raise UsageError(f"--impl-require names {name!r}, which is no component; {hint} (or 'all')")
    return frozenset(names)


def _effort(given: str) -> str:
    if given not in EFFORTS:
        hint = did_you_mean(given, EFFORTS) or f"there are: {', '.join(EFFORTS)}"
        raise UsageError(f"--impl-effort does not take {given!r}; {hint}")
    return given


def _hints(given: str) -> Hint:
    levels = [level.value for level in Hint]
    if given not in levels:
        hint = did_you_mean(given, levels) or f"there are: {', '.join(levels)}"
        raise UsageError(f"--impl-hints does not take {given!r}; {hint}")
    return Hint(given)


def _isolation(given: str) -> Level:
    levels = [level.value for level in Level]
    if given not in levels:
        hint = did_you_mean(given, levels) or f"there are: {', '.join(levels)}"
        raise UsageError(f"--impl-isolation does not take {given!r}; {hint}")
    return Level(given)


def _whole_number(option: str, given: str) -> int:
    try:
        number = int(given)
    except ValueError:
        raise UsageError(f"{option} takes a whole number, not {given!r}") from None
    if number < 0:
        raise UsageError(f"{option} takes a number from 0 on, not {given}")
    return number
