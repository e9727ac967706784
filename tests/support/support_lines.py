"""Mistakes that are planted in small files by an edit of their text, so that the wrong line is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from support_styles import inspect_style

from harness.core.errors import UsageError
from harness.core.marked_line import MarkedLine
from harness.core.record import Status
from harness.mutation.planted import Planted, planted_in

FOLDER = Path(__file__).parents[1] / "lines"
CASES = 8
SECONDS = 60.0
"""So long that what is found does not depend on how fast a machine is."""


def in_small_files() -> Iterator[Planted]:
    """Those of tests/lines/mistakes.toml."""
    return planted_in(FOLDER)


def marked(
    planted: Planted, folder: Path, cases: int = CASES, seconds: float = SECONDS
) -> dict[str, tuple[MarkedLine, ...]]:
    """What is marked for each component that fails and that the mistake may spoil; nothing where none fails."""
    try:
        inspection = inspect_style(str(planted.plant(folder)), planted.declared, cases=cases)
    except UsageError:
        return {}
    inspection.lines.seconds = seconds
    found = {}
    for component in planted.components:
        if component not in inspection.implementation.components:
            continue
        for claim in inspection.catalogue.claims_of(component):
            verdict, evidence = inspection.bench.judge(inspection.catalogue.contracts[component], claim, shrink=False)
            if verdict.status is Status.FAILED and (lines := inspection.lines.of(claim, verdict, evidence)):
                found[component] = lines
                break
            if verdict.failing:
                found.setdefault(component, ())
    return found
