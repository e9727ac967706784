"""What GitHub Actions shows of a job beside its log: the summary."""

from __future__ import annotations

import os
from pathlib import Path

from harness.core.record import RunRecord
from harness.reports.formats import markdown

MOST_BYTES = 1_000_000
"""GitHub takes 1024 kB per step, and nothing at all of what is longer."""


def in_github() -> bool:
    """Whether this runs in a workflow of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def append_summary(record: RunRecord) -> None:
    """Append the run as Markdown to the job's summary, where there is one. Raises OSError if it cannot be written."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not in_github() or not file:
        return
    text = markdown.FORMAT.render(record)
    kept = text.encode()[:MOST_BYTES].decode("utf-8", "ignore")
    kept += "" if len(kept) == len(text) else "\n\n... longer than GitHub takes; the whole is in the run's record.\n"
    with Path(file).open("a", encoding="utf-8") as summary:
        summary.write(kept + "\n")
