"""JSON lines: one object a line, nested or flat; names of nested values are joined by a slash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.curves.readers._table import CurveUnreadable, Reader, Table, number, text_of

SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")


def read(path: Path) -> Table:
    """One row per object. A last line that is not whole yet, as in a growing file, is left out."""
    lines = text_of(path).splitlines()
    table = Table("JSON lines")
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if at == len(lines) and table.rows:
                break
            raise CurveUnreadable(path, at, f"one JSON object per line was expected: {error}") from None
        if not isinstance(value, dict):
            raise CurveUnreadable(path, at, f"a JSON object was expected, found {line.strip()[:40]!r}")
        row = flat(value)
        if row:
            table.rows.append(row)
    return table


def flat(value: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers of an object by name; ``{"metrics": {"loss": 1}}`` gives ``metrics/loss``. Text is read as a number
    where it is NaN or an infinity alone; null was not logged."""
    found: dict[str, float] = {}
    for key, inner in value.items():
        name = f"{before}{key}"
        if isinstance(inner, Mapping):
            found |= flat(inner, f"{name}/")
        elif isinstance(inner, (int, float)) and not isinstance(inner, bool):
            found[name] = float(inner)
        elif isinstance(inner, str) and (read_as := number(inner)) is not None:
            found[name] = read_as
    return found


def _fits(path: Path, head: bytes) -> bool:
    start = head.lstrip()
    if path.suffix.lower() in SUFFIXES:
        return True
    first, _, rest = start.partition(b"\n")
    return _is_object(first.strip()) and rest.lstrip()[:1] == b"{"


def _is_object(first: bytes) -> bool:
    if not (first.startswith(b"{") and first.endswith(b"}")):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


READER = Reader("JSON lines", _fits, read, 30)
