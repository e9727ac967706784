"""Comma-separated values with a header: CSV loggers of Keras and Lightning, exports of TensorBoard and W&B."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

from harness.curves.readers._table import CurveUnreadable, Reader, Table, number, text_of

SUFFIXES = (".csv", ".tsv")
EMPTY = ("", "none", "null", "na", "-")
"""What stands in a cell of which nothing was logged. ``nan`` is a value."""


def read(path: Path) -> Table:
    """The table. A blank cell was not logged; the cells of a column that never holds a number are left out."""
    packed = path.read_bytes()[:2] == b"\x1f\x8b"
    text = gzip.decompress(path.read_bytes()).decode("utf-8") if packed else text_of(path)
    rows = list(csv.reader(io.StringIO(text), dialect=_dialect(text)))
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if not rows:
        raise CurveUnreadable(path, 0, "a header line with the names of the columns was expected; the file is empty")
    header = [name.strip() for name in rows[0]]
    if not any(number(name) is None and name for name in header):
        raise CurveUnreadable(path, 1, f"names of columns were expected, found numbers: {', '.join(header[:4])}")
    table = Table("CSV")
    for line, row in enumerate(rows[1:], 2):
        if len(row) > len(header):
            raise CurveUnreadable(path, line, f"{len(header)} values were expected, one per column; found {len(row)}")
        found = _values(path, line, header, row)
        if found:
            table.rows.append(found)
    return table


def _values(path: Path, line: int, header: list[str], row: list[str]) -> dict[str, float]:
    found = {}
    for name, cell in zip(header, row, strict=False):
        if cell.strip().lower() in EMPTY:
            continue
        value = number(cell)
        if value is not None:
            found[name] = value
    if not found and any(cell.strip() for cell in row):
        raise CurveUnreadable(path, line, f"numbers were expected, found {', '.join(row[:4])!r}")
    return found


def _dialect(text: str) -> type[csv.Dialect]:
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)

    class Found(csv.excel):
        delimiter = separator

    return Found


def _fits(path: Path, head: bytes) -> bool:
    name = "" if path.is_dir() else path.name.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES)


READER = Reader("CSV, also of Keras and Lightning", _fits, read, 20)
