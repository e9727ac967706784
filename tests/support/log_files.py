"""Small event files, as TensorBoard and W&B write them, byte for byte, without these packages."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

from harness.curves.readers.tensorboard import masked


def varint(number: int) -> bytes:
    """A number in groups of seven bits."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def part(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def event(step: int, tag: str, value: float) -> bytes:
    """An Event with one scalar."""
    scalar = part(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)
    return varint(1 << 3 | 1) + struct.pack("<d", 1e9) + varint(2 << 3) + varint(step) + part(5, part(1, scalar))


def framed(record: bytes) -> bytes:
    """A record with its length and both checksums."""
    size = struct.pack("<Q", len(record))
    return size + struct.pack("<I", masked(size)) + record + struct.pack("<I", masked(record))


def write_events(path: Path, rows: Sequence[tuple[int, str, float]]) -> Path:
    """An event file with a header record and these scalars."""
    first = varint(1 << 3 | 1) + struct.pack("<d", 1e9) + part(3, b"brain.Event:2")
    path.write_bytes(b"".join(map(framed, [first, *(event(*row) for row in rows)])))
    return path


def write_wandb(path: Path, rows: Sequence[dict[str, float]], block: int = 32768) -> Path:
    """A file of an offline run; a record that does not fit into a block is split."""
    raw = bytearray(b":W&B" + b"\xe1\xbe\x00")
    for row in rows:
        items = b"".join(
            part(1, part(2, name.encode()) + part(16, json.dumps(value).encode())) for name, value in row.items()
        )
        record = part(2, items)
        begun = False
        while True:
            left = block - len(raw) % block
            if left < 7:
                raw += bytes(left)
                continue
            now, record = record[: left - 7], record[left - 7 :]
            kind = (1 if not record else 2) if not begun else (4 if not record else 3)
            raw += bytes(4) + struct.pack("<HB", len(now), kind) + now
            begun = True
            if not record:
                break
    path.write_bytes(bytes(raw))
    return path
