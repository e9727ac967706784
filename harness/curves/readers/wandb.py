"""W&B offline runs: the file ``run-ID.wandb``, records of a log around protocol buffers, and folders that hold one.

Source: wandb/proto/wandb_internal.proto (Record, HistoryRecord, HistoryItem); the framing is that of LevelDB's log
(blocks of 32 KiB, records with checksum, length and kind), with a header of seven bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.curves.readers._table import CurveUnreadable, Reader, Table
from harness.curves.readers._wire import fields, text
from harness.curves.readers.json_lines import flat

BLOCK, HEADER, IDENT = 32768, 7, b":W&B"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
HISTORY = 2
"""Field of a Record."""
ITEM, KEY, NESTED, VALUE = 1, 1, 2, 16
"""Fields of a HistoryRecord and its items."""
SUFFIX = ".wandb"


def read(path: Path) -> Table:
    """One row per step of the history, by ``_step``. A record at the end that is not whole yet is left out."""
    file = _file(path)
    raw = file.read_bytes()
    if raw[: len(IDENT)] != IDENT:
        raise CurveUnreadable(file, 0, f"the mark {IDENT.decode()} of an offline run was expected at the beginning")
    table = Table("W&B offline history")
    for record in _records(raw):
        try:
            for number, value in fields(record):
                if number == HISTORY and isinstance(value, bytes) and (row := _row(value)):
                    table.rows.append(row)
        except ValueError as error:
            raise CurveUnreadable(file, 0, f"a Record was expected: {error}") from None
    if not table.rows:
        raise CurveUnreadable(file, 0, "a history was expected; the run logged nothing")
    return table


def _row(history: bytes) -> dict[str, float]:
    found: dict[str, object] = {}
    for number, item in fields(history):
        if number != ITEM or not isinstance(item, bytes):
            continue
        names, value = [], ""
        for part, content in fields(item):
            if part in (KEY, NESTED):
                names.append(text(content))
            elif part == VALUE:
                value = text(content)
        try:
            found["/".join(filter(None, names))] = json.loads(value)
        except ValueError:
            continue
    return flat(found)


def _records(raw: bytes) -> Iterator[bytes]:
    at, begun = HEADER, b""
    while at + HEADER <= len(raw):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        size, kind = struct.unpack_from("<HB", raw, at + 4)
        content = raw[at + HEADER : at + HEADER + size]
        if kind == 0 or len(content) < size:
            return
        at += HEADER + size
        begun = content if kind in (FULL, FIRST) else begun + content
        if kind in (FULL, LAST):
            yield begun


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.rglob(f"*{SUFFIX}"))
    if len(found) != 1:
        raise CurveUnreadable(path, 0, f"one file *{SUFFIX} was expected in the folder, found {len(found)}")
    return found[0]


def _fits(path: Path, head: bytes) -> bool:
    return any(path.rglob(f"*{SUFFIX}")) if path.is_dir() else head[: len(IDENT)] == IDENT or path.suffix == SUFFIX


READER = Reader("W&B offline runs", _fits, read, 11, folders=True)
