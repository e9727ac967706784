"""Protocol buffers on the wire: fields of a message by number, without the schema's generated code.

TensorBoard's and W&B's own readers bring in some dozen packages (grpcio, protobuf, Pillow ...) for the three fields
that a curve needs. The encoding is published and has not changed since 2008.
Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number of the field, value): integers of varints, bytes of everything else. Raises ValueError where cut off."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a field of an unknown kind {kind}")
        if at + size > len(message):
            raise ValueError("a field is cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 64 bits")


def float32(value: int | bytes) -> float:
    """The four bytes as a number."""
    return float(struct.unpack("<f", value)[0]) if isinstance(value, bytes) and len(value) == 4 else float("nan")


def text(value: int | bytes) -> str:
    """The bytes as text."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""
