"""What is done when every check was judged: changes are sought, and what is no check is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.hint import Hint
from harness.core.note import NoteCode
from harness.core.record import Status

if TYPE_CHECKING:
    from harness.pytest_plugin.run_state import RunState


SECONDS = 60.0
"""Processor seconds of one run after which no change of another component is sought."""


def work_afterwards(run: RunState) -> None:
    """Seek changes where they are to be shown, and measure what was judged. What is found is in the record at once.

    Nothing that costs time stands between two checks, so a run that is stopped has its verdicts.
    """
    if run.options.hints is Hint.CHANGE and not run.interruption.reason:
        with run.interruption.raised_at_once():
            _seek_changes(run)
    if run.is_finished and run.options.effort != "quick":
        with run.interruption.raised_at_once():
            _measure(run)


def _seek_changes(run: RunState) -> None:
    """Changes that fix what failed, each proven by every check of its component."""
    failing = {v.component for v in run.record.verdicts if v.failing}
    left = [name for name in run.catalogue.contracts if name in failing]
    if run.line is not None:
        run.line.begin()
    for component, proven in run.inspection.changes.of_all(left.copy(), SECONDS):
        left.remove(component)
        if proven is not None:
            run.record.add_change(component, proven.in_record(run.folder))
            run.autosave.keep()
    if left:
        why = f"no change was sought for {', '.join(left)}: the {SECONDS:g} s for that were over; use plumbline fix"
        run.autosave.note(NoteCode.NO_CHANGE_SOUGHT, why)
    if run.line is not None:
        run.line.clear()


def _measure(run: RunState) -> None:
    """The measurements of what was judged: all of it here, also where workers judged."""
    judged = {v.component for v in run.record.verdicts if v.status == Status.PASSED or v.failing}
    for name in run.catalogue.contracts:
        if name in judged and not run.selection.has_single_checks(name):
            if run.line is not None:
                run.line.begin()
            run.record.measurements += run.inspection.measurements(name)
            run.autosave.keep()
    for note in run.inspection.not_measured:
        run.autosave.note(NoteCode.NOT_MEASURED, note, note)
    if run.line is not None:
        run.line.clear()
