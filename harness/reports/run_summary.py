"""What stands below the table: how much was checked, what to note, what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.record import Cause, RunRecord, Status, Verdict
from harness.reports.grounds_text import remarks
from harness.reports.wording import WIDTH, listed, number, share_of_tolerance, wrapped


def coverage(record: RunRecord) -> list[str]:
    """How much was checked and with which margin: so that a passed run means something."""
    ran = [v for v in record.verdicts if v.status.is_judged]
    return [_counts(record, ran), _margins(record, ran)]


def _counts(record: RunRecord, ran: Sequence[Verdict]) -> str:
    """``8 of 49 components implemented: 166 checks run, 140 passed, 26 failed``."""
    implemented = {v.component for v in ran}
    asked = [name for name in record.planned if record.planned[name]]
    statuses = [v.status for v in record.verdicts]
    to_do = sum(v.status == Status.TO_DO and v.component in implemented for v in record.verdicts)
    counts = {
        "passed": sum(v.status == Status.PASSED for v in ran),
        "failed": sum(v.failing for v in ran),
        "excused": sum(bool(v.excused) and v.status.is_failing for v in ran),
        "barely checked": statuses.count(Status.BARELY_CHECKED),
        "advice": statuses.count(Status.ADVICE),
        "to do": to_do,
        "not checked": sum(v.status == Status.NOT_CHECKED and v.component in implemented for v in record.verdicts),
        "not applicable": statuses.count(Status.NOT_APPLICABLE),
        "not reached": max(sum(record.planned.values()) - len(record.verdicts), 0),
    }
    what = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    misfits = {v.component for v in record.verdicts if v.cause is Cause.MISFIT} - implemented
    beside = f", {len(misfits)} not checked" if misfits else ""
    done = "implemented" if record.noun == "component" else "judged"
    return f"{len(implemented)} of {len(asked)} {record.noun}s {done}{beside}: {len(ran)} checks run" + (
        f" ({what})" if what else ""
    )


def _margins(record: RunRecord, ran: Sequence[Verdict]) -> str:
    """Cases, the largest error of a check that passed, the false-alarm probability, the seed."""
    passed = [v for v in ran if v.status == Status.PASSED and v.error is not None]
    worst = max(passed, key=lambda v: v.error or 0.0, default=None)
    if worst is None or worst.error is None:
        margin = "no error measured"
    else:
        where = f"{worst.component}::{worst.claim}"
        margin = f"largest error of a passed check: {share_of_tolerance(worst.error)} ({where})"
    alarm = sum(v.false_alarm for v in ran)
    chance = f"false-alarm probability of the statistical tests: at most {number(alarm)}"
    random = chance if alarm else "no statistical test ran"
    return f"{sum(v.cases for v in ran)} cases; {margin}; {random}; seed {record.seed}"


def notes(record: RunRecord) -> list[str]:
    """What a person should know that is no failure, once per component."""
    seen = dict.fromkeys((v.component, note) for v in record.verdicts for note in v.notes)
    lines = [*advice(record), *remarks(record)]
    lines += [f"{component}: {note.text}" for component, note in seen] + [note.text for note in record.notes]
    misfits = dict.fromkeys(v.component for v in record.verdicts if v.cause is Cause.MISFIT)
    if misfits:
        how = f"`plumbline doctor {record.impl}` shows the lines that would plug "
        lines.append(f"not checked: {', '.join(misfits)}; {how}{'it' if len(misfits) == 1 else 'them'} in")
    return lines


def advice(record: RunRecord) -> list[str]:
    """What nobody is held to and would do well to follow: per component and reason, the checks and what to do."""
    why: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in record.verdicts:
        wrong = any(v.failing for v in record.of(verdict.component))
        if verdict.status == Status.ADVICE and not (verdict.half_precision and wrong):
            why.setdefault((verdict.component, verdict.advice), []).append(verdict)
    lines = []
    for (component, what), found in why.items():
        checks = f"{found[0].claim}: {found[0].message}" if len(found) == 1 else listed(v.claim for v in found)
        lines.append(f"advice on {component} ({checks.rstrip('.')}). {what}")
    return lines


def measurements(record: RunRecord, width: int = WIDTH) -> list[str]:
    """What was measured beside the checks, each with how it was obtained (for maps: where they are shown)."""
    lines = []
    for one in record.measurements:
        how = "maps: --impl-report=html" if one.grids else one.how.rstrip(".")
        lines += wrapped(f"{one.component}: {one.sentence.rstrip('.')} ({how})", width, "  ", "      ")
    return ["measurements (informational):", *lines, ""] if lines else []
