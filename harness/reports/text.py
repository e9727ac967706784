"""What a run shows in the terminal, from the modules that make each part of it."""

from __future__ import annotations

from harness.reports.failure import failure, headline
from harness.reports.groups import Group, check_command, groups, run_command
from harness.reports.run_summary import coverage, measurements, notes
from harness.reports.table import table

__all__ = [
    "Group",
    "check_command",
    "coverage",
    "failure",
    "groups",
    "headline",
    "measurements",
    "notes",
    "run_command",
    "table",
]
