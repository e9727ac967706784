"""Packed values back from JSON and bytes that nobody vouches for. Whatever is no packed value raises ProtocolError."""

from __future__ import annotations

import base64
import binascii
import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch

from harness.core.values import Earlier, Given, Resource, Settings
from harness.isolation.packing import RECORDS, TAG, dtype_name

MOST_BYTES = 1 << 29
"""Bytes that one tensor may spread over, whatever its strides."""
MOST_AXES = 64
DTYPES = {
    dtype_name(dtype): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex128, torch.complex64),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
        *(getattr(torch, name) for name in ("complex32", "uint16", "uint32", "uint64") if hasattr(torch, name)),
        *(getattr(torch, f"float8_{kind}") for kind in ("e4m3fn", "e5m2") if hasattr(torch, f"float8_{kind}")),
    )
}
"""The dtypes that a tensor may have, by name."""
KINDS = "biufc"
"""Kinds of NumPy's dtypes that an array may have."""


class ProtocolError(Exception):
    """What came is not what the protocol says."""


class Unknown:
    """An object of the implementation, of a kind that no answer holds: its class has the name of theirs."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Unpacker:
    """Unpacks the values of one frame. ``blobs``: its memory.

    ``from_the_judge``: whether what makes resources, and names what was given, is taken: an answer holds none.
    """

    def __init__(self, blobs: Sequence[bytearray], from_the_judge: bool = False) -> None:
        self._blobs, self._makers = blobs, MAKERS | OF_CASES if from_the_judge else MAKERS
        self._storages: dict[int, torch.UntypedStorage] = {}
        self._tensors: dict[int, torch.Tensor] = {}

    def unpack(self, value: Any) -> Any:
        """One value. Raises ProtocolError."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.unpack(inner) for inner in value]
        kind = value.get(TAG) if type(value) is dict else None
        maker = self._makers.get(kind) if isinstance(kind, str) else None
        if maker is None:
            raise ProtocolError(f"no kind of value: {str(kind)[:40]!r}")
        try:
            return maker(self, value)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError) as error:
            raise ProtocolError(f"a value that is no {kind}: {type(error).__name__}") from None

    def many(self, values: Any) -> list[Any]:
        """The values of a list. Raises ProtocolError where it is none."""
        if type(values) is not list:
            raise ProtocolError("no list")
        return [self.unpack(inner) for inner in values]

    def entries(self, values: Any) -> list[tuple[Any, Any]]:
        """The pairs of a list of pairs. Raises ProtocolError where it is none."""
        if type(values) is not list or any(type(pair) is not list or len(pair) != 2 for pair in values):
            raise ProtocolError("no list of pairs")
        return [(self.unpack(key), self.unpack(inner)) for key, inner in values]

    def tensor(self, value: dict[str, Any]) -> torch.Tensor:
        """A tensor over the memory of the frame."""
        dtype, shape, stride = DTYPES[value["dtype"]], sizes(value["shape"]), sizes(value["stride"])
        number, memory, at = (_whole(value[name]) for name in ("number", "memory", "at"))
        if len(shape) != len(stride) or number in self._tensors:
            raise ProtocolError("a tensor whose strides are not those of its shape, or that came before")
        item = torch.empty(0, dtype=dtype).element_size()
        if math.prod(max(size, 1) for size in shape) * item > MOST_BYTES:
            raise ProtocolError("a tensor that is too large")
        if 0 in shape:
            made = torch.empty_strided(shape, stride, dtype=dtype)
        else:
            reach = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
            if at < 0 or at % item or not 0 <= memory < len(self._blobs):
                raise ProtocolError("a tensor outside the memory that came")
            if at + (reach + 1) * item > len(self._blobs[memory]):
                raise ProtocolError("a tensor beyond the memory that came")
            made = torch.empty(0, dtype=dtype).set_(self._storage(memory), at // item, shape, stride)
        if value.get("learned") is True:
            made = torch.nn.Parameter(made, requires_grad=made.is_floating_point() or made.is_complex())
        self._tensors[number] = made
        return made

    def again(self, value: dict[str, Any]) -> torch.Tensor:
        """A tensor that came before in the same frame."""
        return self._tensors[_whole(value["number"])]

    def _storage(self, number: int) -> torch.UntypedStorage:
        """The memory, copied to where torch aligns it."""
        if number not in self._storages:
            made = torch.empty(len(self._blobs[number]), dtype=torch.uint8)
            made.copy_(torch.frombuffer(self._blobs[number], dtype=torch.uint8))
            self._storages[number] = made.untyped_storage()
        return self._storages[number]


def _whole(value: Any) -> int:
    if type(value) is not int or not -1 <= value < 1 << 62:
        raise ProtocolError("no whole number")
    return value


def sizes(values: Any) -> list[int]:
    """Sizes or strides. Raises ProtocolError where they are none."""
    if type(values) is not list or len(values) > MOST_AXES or any(_whole(one) < 0 for one in values):
        raise ProtocolError("no sizes")
    return list(values)


def text(value: Any) -> str:
    """A text. Raises ProtocolError where it is none."""
    if type(value) is not str:
        raise ProtocolError("no text")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(text(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("no bytes") from error


def _named(unpacker: Unpacker, value: dict[str, Any]) -> Any:
    fields, values = [text(name) for name in value["fields"]], unpacker.many(value["values"])
    return namedtuple(text(value["name"]), fields)(*values)  # raises ValueError for what is no name


def _array(unpacker: Unpacker, value: dict[str, Any]) -> Any:
    dtype = numpy.dtype(text(value["dtype"]))
    if dtype.kind not in KINDS:
        raise ProtocolError("no numbers")
    return numpy.frombuffer(_bytes(value["data"]), dtype=dtype).reshape(sizes(value["shape"])).copy()


def _unknown(unpacker: Unpacker, value: dict[str, Any]) -> Unknown:
    kind: type[Unknown] = type(text(value["name"]), (Unknown,), {})
    return kind(text(value["text"]))


def _settings(unpacker: Unpacker, value: dict[str, Any]) -> Settings:
    return Settings(**{text(name): inner for name, inner in unpacker.entries(value["entries"])})


def _set(unpacker: Unpacker, value: dict[str, Any]) -> Any:
    made = unpacker.many(value["values"])
    return frozenset(made) if value["frozen"] is True else set(made)


MAKERS: dict[str, Callable[[Unpacker, dict[str, Any]], Any]] = {
    "tensor": Unpacker.tensor,
    "again": Unpacker.again,
    "tuple": lambda u, value: tuple(u.many(value["values"])),
    "size": lambda u, value: torch.Size(sizes(value["values"])),
    "named": _named,
    "set": _set,
    "dict": lambda u, value: dict(u.entries(value["entries"])),
    "bytes": lambda u, value: _bytes(value["data"]),
    "complex": lambda u, value: complex(*map(float, value["values"])),
    "dtype": lambda u, value: DTYPES[value["name"]],
    "array": _array,
    "number": lambda u, value: _array(u, value)[()],
    "settings": _settings,
    "record": lambda u, value: RECORDS[value["where"]](**dict(u.entries(value["entries"]))),
    "object": _unknown,
}
"""What each kind of packed value is made into."""
OF_CASES: dict[str, Callable[[Unpacker, dict[str, Any]], Any]] = {
    "resource": lambda u, value: Resource(text(value["where"]), u.unpack(value["arguments"])),
    "earlier": lambda u, value: Earlier(*value["values"]),
    "given": lambda u, value: Given(*value["values"]),
}
"""What cases hold beside that."""
