"""Values as JSON and raw bytes, and back: what cases, answers and traces hold. No code travels, in either direction.

Tensors that share memory share it on the other side too, and keep their strides. The bytes are those of this machine's
order (little endian on every system that torch runs on).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import numpy
import torch

from harness.core.values import Earlier, Given, Resource, Settings

TAG = "is"
"""Key of what a JSON object stands for."""
MOST_TEXT = 300
"""Characters that are kept of how an object of an unknown kind prints itself."""
ALIGNED = 64
"""Bytes: where a piece of memory begins, relative to what it was cut from, so that strides stay whole numbers."""


RECORDS: dict[str, type] = {}
"""Classes of sizes that both sides have, by ``module:name``; see :func:`know_records_of`."""


def know_records_of(module: ModuleType) -> None:
    """Let the dataclasses of a module be packed by their fields."""
    for name, kind in vars(module).items():
        if isinstance(kind, type) and is_dataclass(kind):
            RECORDS[f"{module.__name__}:{name}"] = kind


def dtype_name(dtype: torch.dtype) -> str:
    """``float64`` of torch.float64."""
    return str(dtype).removeprefix("torch.")


class Packer:
    """Packs the values of one frame. ``blobs`` after :meth:`finish`: the memory of its tensors."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self._tensors: dict[int, int] = {}
        self._kept: list[Any] = []
        """What was packed, so that no address is used twice."""
        self._pieces: dict[int, _Piece] = {}

    def pack(self, value: Any) -> Any:
        """The value as JSON takes it. Of an object of an unknown kind, the name of its class and how it is printed."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.pack(inner) for inner in value]
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        for kind, packed in PACKERS:
            if isinstance(value, kind):
                return packed(self, value)
        where = f"{type(value).__module__}:{type(value).__name__}"
        return _record(self, where, value) if RECORDS.get(where) is type(value) else _opaque(value)

    def finish(self) -> None:
        """Copy the memory of the tensors. Nothing can be packed after that."""
        for piece in self._pieces.values():
            start = piece.first // ALIGNED * ALIGNED
            for entry in piece.entries:
                entry["at"] -= start
            whole = torch.empty(0, dtype=torch.uint8)
            with torch.no_grad():
                whole.set_(piece.storage, start, (piece.end - start,), (1,))
            self.blobs.append(whole.numpy().tobytes())

    def _tensor(self, value: torch.Tensor) -> Any:
        if id(value) in self._tensors:
            return {TAG: "again", "number": self._tensors[id(value)]}
        if value.layout != torch.strided or value.is_quantized or value.device.type == "meta":
            return _opaque(value)
        number = self._tensors[id(value)] = len(self._tensors)
        plain = value.detach().as_subclass(torch.Tensor)
        plain = (plain if plain.device.type == "cpu" else plain.cpu()).resolve_conj().resolve_neg()
        self._kept += [value, plain]
        entry = {
            TAG: "tensor",
            "number": number,
            "dtype": dtype_name(plain.dtype),
            "shape": list(plain.shape),
            "stride": list(plain.stride()),
            "memory": -1,
            "at": 0,
            "learned": isinstance(value, torch.nn.Parameter),
        }
        if plain.numel():
            self._place(plain, entry)
        return entry

    def _place(self, tensor: torch.Tensor, entry: dict[str, Any]) -> None:
        storage, item = tensor.untyped_storage(), tensor.element_size()
        first = int(tensor.storage_offset()) * item
        reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
        piece = self._pieces.get(storage.data_ptr())
        if piece is None:
            piece = self._pieces[storage.data_ptr()] = _Piece(storage, len(self._pieces), first)
        piece.first, piece.end = min(piece.first, first), max(piece.end, first + (reach + 1) * item)
        piece.entries.append(entry)
        entry["memory"], entry["at"] = piece.number, first


class _Piece:
    """What the tensors of one frame use of one storage: bytes ``first`` to ``end``."""

    def __init__(self, storage: Any, number: int, first: int) -> None:
        self.storage, self.number, self.first, self.end = storage, number, first, first
        self.entries: list[dict[str, Any]] = []


def _opaque(value: Any) -> dict[str, Any]:
    try:
        text = repr(value)[:MOST_TEXT]
    except BaseException as error:  # their __repr__
        text = f"<{type(error).__name__} in its repr>"
    return {TAG: "object", "name": type(value).__name__[:MOST_TEXT], "text": text}


def _tuple(packer: Packer, value: tuple[Any, ...]) -> dict[str, Any]:
    inner = [packer.pack(one) for one in value]
    if isinstance(value, torch.Size):
        return {TAG: "size", "values": inner}
    names = getattr(type(value), "_fields", None)
    if names is not None and len(names) == len(inner):
        return {TAG: "named", "name": type(value).__name__, "fields": list(names), "values": inner}
    return {TAG: "tuple", "values": inner}


def _set(packer: Packer, value: Any) -> dict[str, Any]:
    return {TAG: "set", "frozen": isinstance(value, frozenset), "values": [packer.pack(one) for one in value]}


def _dict(packer: Packer, value: Mapping[Any, Any]) -> dict[str, Any]:
    return {TAG: "dict", "entries": [[packer.pack(key), packer.pack(inner)] for key, inner in value.items()]}


def _record(packer: Packer, where: str, value: Any) -> dict[str, Any]:
    return {
        TAG: "record",
        "where": where,
        "entries": [[f.name, packer.pack(getattr(value, f.name))] for f in fields(value)],
    }


def _settings(packer: Packer, value: Settings) -> dict[str, Any]:
    return {TAG: "settings", "entries": [[key, packer.pack(inner)] for key, inner in value.values]}


def _array(packer: Packer, value: Any) -> dict[str, Any]:
    if value.dtype.kind not in "biufc":
        return _opaque(value)
    data = base64.b64encode(numpy.ascontiguousarray(value).tobytes()).decode()
    return {TAG: "array", "dtype": value.dtype.str, "shape": list(value.shape), "data": data}


def _number(packer: Packer, value: Any) -> dict[str, Any]:
    return {**_array(packer, numpy.asarray(value)), TAG: "number"}


PACKERS: tuple[tuple[type | tuple[type, ...], Callable[[Packer, Any], Any]], ...] = (
    (bytes, lambda _, value: {TAG: "bytes", "data": base64.b64encode(value).decode()}),
    (Settings, _settings),
    (Resource, lambda p, value: {TAG: "resource", "where": value.where, "arguments": p.pack(tuple(value.arguments))}),
    (Earlier, lambda _, value: {TAG: "earlier", "values": [value.method, value.entry, value.back]}),
    (Given, lambda _, value: {TAG: "given", "values": [value.method, value.argument]}),
    (tuple, _tuple),
    (dict, _dict),
    ((set, frozenset), _set),
    (complex, lambda _, value: {TAG: "complex", "values": [value.real, value.imag]}),
    (torch.dtype, lambda _, value: {TAG: "dtype", "name": dtype_name(value)}),
    (numpy.ndarray, _array),
    (numpy.generic, _number),
)
"""How each kind of value is packed. The first one that fits counts."""
