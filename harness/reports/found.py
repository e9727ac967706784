"""Findings of a run that goes on, a line each, as soon as they are there."""

from __future__ import annotations

from harness.core.notebook import shown_line
from harness.core.record import RunRecord
from harness.reports.failure import headline
from harness.reports.groups import Group, groups
from harness.reports.marked_lines import place_of

MARK = "found: "
"""How a line begins that tells a finding."""


class Found:
    """Tells every finding of one record once. At the end of the run it may turn out to be part of another one."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def new(self, record: RunRecord) -> list[str]:
        """A line for each finding that was not told before, those first that the others depend on.

        ``found: layer_norm (student.py:28): eps is added to the standard deviation.``
        """
        lines = []
        for group in groups(record):
            key = group.names or (group.head.component, group.head.claim)
            if key not in self._told:
                self._told.add(key)
                lines.append(_line(record, group))
        return lines


def _line(record: RunRecord, group: Group) -> str:
    head = group.head
    at = f" ({shown_line(*place_of(head), short=True)})" if head.where else ""
    return f"{MARK}{head.component}{at}: {' '.join(headline(record, group).split())}"
