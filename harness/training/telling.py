"""What an inspection shows in the terminal."""

from __future__ import annotations

import traceback
from pathlib import Path

from harness.core.library_files import OURS
from harness.core.notebook import shown_line
from harness.core.record import Status
from harness.reports.wording import wrapped
from harness.training.finding import TrainingFinding
from harness.training.inspecting import InspectionResult
from harness.training.stopping import StopInspection


def lines(result: InspectionResult, width: int = 100) -> list[str]:
    """The findings, the notes, and how much was judged."""
    name = Path(result.name).name
    if not result.steps:
        return [f"{name}: no optimiser step was seen, so nothing was judged."]
    failed, notes = result.failed, [each for each in result.findings if each not in result.failed]
    what = f"{len(failed)} finding{'' if len(failed) == 1 else 's'}" if failed else "nothing found"
    text = [f"{name}: {result.steps} training step{'' if result.steps == 1 else 's'} watched, {what}"]
    for each in failed:
        text += ["", *_finding(each, width)]
    if notes:
        text.append("")
    for each in notes:
        text += wrapped(f"note: {each.message}{_place(each)}", width, "", "      ")
    return [*text, "", _counts(result)]


def _finding(finding: TrainingFinding, width: int) -> list[str]:
    at = f"  {shown_line(finding.file, finding.line, short=True)}" if finding.line else ""
    code = [f"    {line.strip()}" for line in finding.text.splitlines()[:3]]
    return [f"{finding.kind}{at}", *wrapped(finding.message, width, "  "), *(["", *code] if code else [])]


def _place(finding: TrainingFinding) -> str:
    return f" ({shown_line(finding.file, finding.line, short=True)})" if finding.line else ""


def _counts(result: InspectionResult) -> str:
    assert result.record is not None
    statuses = [verdict.status for verdict in result.record.verdicts]
    counts = {
        "passed": statuses.count(Status.PASSED),
        "failed": sum(status.is_failing for status in statuses),
        "not applicable": statuses.count(Status.NOT_APPLICABLE),
    }
    return f"{len(statuses)} claims: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def traceback_of(result: InspectionResult) -> str:
    """The traceback of a script that broke, from its own first frame on."""
    error = result.crash
    assert error is not None and not isinstance(error, StopInspection)
    if isinstance(error, SystemExit):
        return f"The script ended itself with exit code {error.code}."
    whole = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in whole.stack if not frame.filename.startswith(OURS)]
    whole.stack = traceback.StackSummary.from_list(frames)
    return "The script itself broke:\n" + "".join(whole.format()).rstrip()
