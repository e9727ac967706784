"""What the processes of a submission wrote, as far as it can be trusted to come from Plumbline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.core.change import ProvenChange
from harness.core.note import Note
from harness.core.record import MistakeSummary, Status, Verdict
from harness.grading.checks import Checks
from harness.grading.journal import PATIENCE, Kept

OUT_OF_TIME = f"{PATIENCE} checks of it ran out of time"


@dataclass
class Log:
    """What is known of a submission after some of its processes, as far as what they wrote can be believed."""

    checks: Checks
    names: Sequence[str]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    summaries: dict[str, MistakeSummary] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    variants: dict[str, str] = field(default_factory=dict)
    suspicious: list[str] = field(default_factory=list)

    def planned(self) -> list[str]:
        return [f"{component}::{claim}" for component in self.names for claim in self.checks.claims[component]]

    def take(self, kept: Kept) -> None:
        """Take over what a process wrote, as far as it can be Plumbline's: the process ran the submission's code."""
        planned = set(self.planned())
        expected = [c for c in self.planned() if c not in self.verdicts and c.partition("::")[0] not in self.without]
        if kept.planned != expected:
            self.suspicious.append("its list of planned checks is not that of the rubric")
        for values in kept.verdicts:
            verdict = _verdict(values)
            check = f"{verdict.component}::{verdict.claim}" if verdict is not None else ""
            told = (
                self.checks.claims[verdict.component][verdict.claim]
                if verdict is not None and check in planned
                else None
            )
            if verdict is None or told != verdict.sentence or check in self.verdicts:
                self.suspicious.append("it wrote verdicts that Plumbline did not make")
            else:
                self.verdicts[check] = replace(verdict, excused="")
        self._take_changes(kept.changes)
        self.summaries |= summaries_of(kept.summaries)
        self.left_out |= dict.fromkeys((c for c in kept.left_out if c in planned), OUT_OF_TIME)
        self.notes = list(dict.fromkeys([*self.notes, *kept.notes]))
        self.variants |= {str(component): str(variant) for component, variant in kept.variants.items()}
        self.suspicious = list(dict.fromkeys(self.suspicious))

    def _take_changes(self, changes: Mapping[str, Any]) -> None:
        """The failing verdicts of each component with the change that fixes it; what is no change is left out."""
        for component, values in changes.items():
            try:
                change = ProvenChange.from_dict(values)
            except TypeError:
                continue
            counts = (change.checks_held, change.checks_run)
            if not isinstance(change.diff, str) or not all(isinstance(number, int) for number in counts):
                continue
            for check, verdict in self.verdicts.items():
                if verdict.component == component and verdict.failing:
                    self.verdicts[check] = replace(verdict, change=change)

    def died(self, how: str) -> None:
        self.deaths.append(how)

    def blame(self, kept: Kept, how: str, *, timed_out: bool = False) -> None:
        """The check in flight did it; without one, the component of the last."""
        component, _, claim = kept.last.partition("::")
        if component not in self.checks.claims:
            self.died(how)
            self.rest(how)
            return
        self.died(f"{kept.last if kept.open else component}: {how}")
        self.without[component] = f"its process died in {kept.last}: {how}"
        if kept.open and kept.last not in self.verdicts and claim in self.checks.claims[component]:
            status = Status.TIMED_OUT if timed_out else Status.CRASHED
            sentence = self.checks.claims[component][claim]
            self.verdicts[kept.last] = Verdict(component, claim, sentence, status, message=f"the whole process: {how}")

    def missing(self) -> list[str]:
        """Checks that a new process could still judge."""
        done = (*self.verdicts, *self.left_out)
        return [c for c in self.planned() if c not in done and c.partition("::")[0] not in self.without]

    def rest(self, why: str) -> None:
        self.left_out |= dict.fromkeys(self.missing(), why)

    def whys(self) -> list[str]:
        """What kept it from being judged in part, each once."""
        slow = dict.fromkeys(check.partition("::")[0] for check, why in self.left_out.items() if why == OUT_OF_TIME)
        return list(dict.fromkeys([*self.deaths, *(f"{name}: {OUT_OF_TIME}, the rest was left out" for name in slow)]))

    def unreached(self) -> dict[str, str]:
        """Why checks were not judged, by check."""
        found = {}
        for check in self.planned():
            if check not in self.verdicts:
                component = check.partition("::")[0]
                found[check] = self.left_out.get(check) or self.without.get(component) or "no verdict was written"
        return found


def _verdict(values: Mapping[str, Any]) -> Verdict | None:
    """A verdict from plain values; None where they are not those of one."""
    try:
        verdict = Verdict.from_dict({**values, "change": None})  # changes are told when all is judged
    except (TypeError, ValueError):
        return None
    texts = (
        verdict.component,
        verdict.claim,
        verdict.sentence,
        verdict.message,
        verdict.worst,
        verdict.smallest,
        verdict.case_id,
        verdict.where,
    )
    lists = (verdict.finding, verdict.or_else, verdict.frames)
    counts = (verdict.cases, verdict.failed_cases, verdict.first, verdict.line)
    numbers = (*counts, verdict.false_alarm, verdict.seconds, verdict.error or 0, verdict.excess or 0)
    fine = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(one, tuple) and all(isinstance(text, str) for text in one) for one in lists)
        and all(isinstance(number, (int, float)) for number in numbers)
        and isinstance(verdict.error_map, tuple)
        and all(
            isinstance(row, tuple) and all(isinstance(cell, (int, float)) for cell in row) for row in verdict.error_map
        )
        and (verdict.status != Status.PASSED or verdict.cases >= 1)
    )
    return verdict if fine else None


def summaries_of(values: Mapping[str, Any]) -> dict[str, MistakeSummary]:
    """Summaries of mistakes from plain values; what is none is left out."""
    found = {}
    for name, summary in values.items():
        try:
            one = (
                summary
                if isinstance(summary, MistakeSummary)
                else MistakeSummary(**{**summary, "seen_in": tuple(summary["seen_in"])})
            )
        except (TypeError, KeyError):
            continue
        if all(isinstance(text, str) for text in (one.name, one.component, one.sentence, one.diff, *one.seen_in)):
            found[name] = one
    return found
