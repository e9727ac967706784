"""Where a run's record and its reports are written: ``--impl-report=run.json,html,csv:checks.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import harness.reports.formats
from harness.core.record import RunRecord
from harness.core.registry import scan
from harness.reports.formats._format import Format
from harness.reports.json_file import atomically

USUAL_RECORD = ".plumbline/run.json"
BENCHMARKS_RECORD = ".plumbline/bench.json"
"""The record of a run of benchmarks alone: it does not overwrite the record of the checks."""
LESSONS_RECORD = ".plumbline/study.json"
"""The record of lessons alone."""


class UnknownFormat(ValueError):
    """The text names no format. The message lists the formats."""


@dataclass(frozen=True)
class Destinations:
    """The record's file, and each format's name with its file."""

    record: str = USUAL_RECORD
    faces: tuple[tuple[str, str], ...] = ()


@cache
def formats() -> Mapping[str, Format]:
    """Every format by the name of its file in ``harness/reports/formats``."""
    return scan(harness.reports.formats, "FORMAT", Format)


def destinations(text: str) -> Destinations:
    """Pieces separated by commas: a path that ends in .json is the record's, ``format`` or ``format:path`` a face.

    Raises UnknownFormat naming the piece, or two files for the record.
    """
    record, faces = "", []
    for piece in filter(None, (p.strip() for p in text.split(","))):
        name, _, path = piece.partition(":")
        if name in formats():
            faces.append((name, path or formats()[name].file))
        elif piece.endswith(".json"):
            if record not in ("", piece):
                raise UnknownFormat(f"{record} and {piece} are both to be the record's file; name one")
            record = piece
        else:
            known = ", ".join(formats())
            raise UnknownFormat(
                f"{piece!r} is neither the record's file (it ends in .json) nor a format; formats: {known} "
                f"(FORMAT or FORMAT:FILE, separated by commas)"
            )
    return Destinations(record or USUAL_RECORD, tuple(faces))


def write_report(name: str, record: RunRecord, path: Path) -> None:
    """Render one format into a file; folders on the way are made. Raises OSError where it cannot be written."""
    atomically(formats()[name].render(record), path)
