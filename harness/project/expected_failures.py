"""What may fail without failing the run: failures that are expected, with a reason, and those that a baseline has.

Expected failures are listed in ``[tool.plumbline.expected]``, or in a module's own ``PLUMBLINE = {"expected": {...}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.core.claim import Claim
from harness.core.errors import UsageError, did_you_mean
from harness.core.record import EXPECTED, RunRecord, Status, Verdict
from harness.project.names import Names
from harness.reports import json_file


@dataclass(frozen=True)
class Gate:
    """``expected``: reasons by ``component`` or ``component::claim``. ``before``: what failed in the baseline, by
    check."""

    expected: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[tuple[str, str], Verdict] = field(default_factory=dict)
    baseline: str = ""

    def judged(self, verdict: Verdict) -> Verdict:
        """The verdict, excused where its failure is expected or not new: then it fails nobody's run."""
        if not verdict.failing:
            return verdict
        for key in (f"{verdict.component}::{verdict.claim}", verdict.component):
            if key in self.expected:
                return replace(verdict, excused=f"expected: {self.expected[key]}")
        old = self.before.get((verdict.component, verdict.claim))
        # Another mistake than before in the same check is new.
        if old is not None and set(verdict.finding) <= set(old.finding) and bool(verdict.finding) == bool(old.finding):
            return replace(verdict, excused=f"not new: it failed in {self.baseline} too")
        return verdict

    def lines(self, record: RunRecord) -> list[str]:
        """What was excused, what is stale, and what was fixed since the baseline; one line each.

        Entries with the same reason are one defect: which of its claims break may hang on the seed, and none of them
        is stale while one still breaks.
        """
        lines = [f"{v.component}::{v.claim} is {v.status}; {v.excused}" for v in record.verdicts if v.excused]
        still = {v.excused for v in record.verdicts}
        for key, reason in self.expected.items():
            component, _, claim = key.partition("::")
            seen = [v for v in record.of(component) if claim in ("", v.claim)]
            if any(v.status == Status.PASSED for v in seen) and f"expected: {reason}" not in still:
                lines.append(f"stale: {key} passes now; remove it from {EXPECTED} ({reason})")
        fixed = [
            f"{c}::{n}"
            for (c, n) in self.before
            if any(v.claim == n and v.status == Status.PASSED for v in record.of(c))
        ]
        return [*lines, *([f"fixed since {self.baseline}: {', '.join(fixed)}"] if fixed else [])]


def gate(
    tables: Mapping[str, Any], baseline: str, claims: Mapping[str, list[Claim]], names: Names | None = None
) -> Gate:
    """``tables``: what is expected, by where that is stated. ``names``: earlier names, which both may use.

    Raises UsageError naming the entry, or the file, that is wrong.
    """
    expected: dict[str, str] = {}
    names = names or Names()
    for where, table in tables.items():
        if not isinstance(table, Mapping):
            raise UsageError(f'{where} must be a table of reasons: "layer_norm::deterministic" = "why", not {table!r}')
        for key, reason in table.items():
            current = names.check(key)
            _check(where, current, reason, claims)
            expected[current] = reason
    return Gate(expected, _failed_in(baseline, names), baseline)


def _check(where: str, key: str, reason: Any, claims: Mapping[str, list[Claim]]) -> None:
    component, separator, claim = key.partition("::")
    if component not in claims:
        raise UsageError(
            f"{where}: there is no component {component!r}; {did_you_mean(component, claims) or 'see plumbline list'}"
        )
    names = [c.name for c in claims[component]]
    if separator and claim not in names:
        advice = did_you_mean(claim, names) or f"see plumbline list {component}"
        raise UsageError(f"{where}: {component} has no check {claim!r}; {advice}")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{where}: {key} needs a reason, in words, not {reason!r}")


def baseline_record(baseline: str) -> RunRecord:
    """The record that ``--impl-baseline`` names. Raises UsageError where it is none."""
    try:
        return json_file.read(Path(baseline))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"--impl-baseline: {baseline} is no record of a run: {error}; a run writes .plumbline/run.json"
        ) from None


def _failed_in(baseline: str, names: Names) -> dict[tuple[str, str], Verdict]:
    if not baseline:
        return {}
    failed = [names.verdict(v) for v in baseline_record(baseline).verdicts if v.failing or v.excused]
    return {(v.component, v.claim): v for v in failed}
