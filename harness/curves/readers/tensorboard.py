"""TensorBoard event files: records with lengths and checksums around protocol buffers.

Source: tensorflow/core/lib/io/record_writer.h (the framing), tensorflow/core/util/event.proto and summary.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from harness.curves.readers._table import CurveUnreadable, Reader, Table
from harness.curves.readers._wire import fields, float32, text

STEP, SUMMARY = 2, 5
"""Fields of an Event."""
VALUE = 1
"""Field of a Summary."""
TAG, SIMPLE, TENSOR = 1, 2, 8
"""Fields of a Summary.Value."""
DTYPE, CONTENT, FLOATS = 1, 4, 5
"""Fields of a TensorProto."""
HEADER, CHECKSUM = 12, 4
MARK = "tfevents"


def read(path: Path) -> Table:
    """All scalars of a file, or of every event file under a folder, by tag and step. A folder's name comes before the
    tags of its files where there are several (``train/loss`` and ``validation/loss``)."""
    files = sorted(path.rglob(f"*{MARK}*")) if path.is_dir() else [path]
    folders = {file.parent for file in files}
    rows: dict[float, dict[str, float]] = {}
    table = Table("TensorBoard events")
    for file in files:
        before = f"{file.parent.name}/" if len(folders) > 1 and file.parent != path else ""
        for step, tag, value in scalars(file):
            rows.setdefault(step, {"step": step})[f"{before}{tag}"] = value
    table.rows = [rows[step] for step in sorted(rows)]
    if not table.rows:
        raise CurveUnreadable(path, 0, "scalars were expected; no event of the file holds one")
    return table


def scalars(path: Path) -> Iterator[tuple[float, str, float]]:
    """(step, tag, value) of every scalar. A record at the end that is not whole yet is left out."""
    raw = path.read_bytes()
    for start, record in _records(path, raw):
        try:
            event = list(fields(record))
            step = next((v for n, v in event if n == STEP and isinstance(v, int)), 0)
            for number, summary in event:
                if number == SUMMARY and isinstance(summary, bytes):
                    yield from ((float(step), tag, value) for tag, value in _values(summary))
        except ValueError as error:
            raise CurveUnreadable(path, 0, f"an Event was expected at byte {start}: {error}") from None


def _records(path: Path, raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER <= len(raw):
        size, check = struct.unpack_from("<QI", raw, at)
        if masked(raw[at : at + 8]) != check:
            raise CurveUnreadable(path, 0, f"a record was expected at byte {at}; the checksum of its length is wrong")
        end = at + HEADER + size
        if end + CHECKSUM > len(raw):
            return
        record = raw[at + HEADER : end]
        if masked(record) != struct.unpack_from("<I", raw, end)[0]:
            raise CurveUnreadable(path, 0, f"a whole record was expected at byte {at}; its checksum is wrong")
        yield at, record
        at = end + CHECKSUM


def _values(summary: bytes) -> Iterator[tuple[str, float]]:
    for number, value in fields(summary):
        if number != VALUE or not isinstance(value, bytes):
            continue
        parts = dict(fields(value))
        tag = text(parts.get(TAG, b""))
        if SIMPLE in parts:
            yield tag, float32(parts[SIMPLE])
        elif isinstance(tensor := parts.get(TENSOR), bytes):
            found = _tensor(tensor)
            if found is not None:
                yield tag, found


def _tensor(tensor: bytes) -> float | None:
    """The number in a tensor with one float32 or float64; None where it holds something else."""
    parts = dict(fields(tensor))
    content = parts.get(CONTENT, b"")
    if parts.get(DTYPE) == 1:
        packed = parts.get(FLOATS, content)
        return float32(packed) if isinstance(packed, bytes) and len(packed) == 4 else None
    if parts.get(DTYPE) == 2 and isinstance(content, bytes) and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    return None


def _table() -> list[int]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return found


CRC32C = _table()


def masked(data: bytes) -> int:
    """The masked CRC-32C of a record's framing."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _fits(path: Path, head: bytes) -> bool:
    if path.is_dir():
        return any(path.rglob(f"*{MARK}*"))
    return MARK in path.name or (len(head) >= HEADER and head[24:33] == b"brain.Eve")


READER = Reader("TensorBoard event files, or a folder of them", _fits, read, 10, folders=True)
