"""What an object holds in memory: the bytes of every tensor and array that it can reach."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import numpy
import torch

LOOKED_AT_MOST = 200_000
"""Objects looked at before giving up: no cache, optimiser or layer is made of more."""


def bytes_held(built: Any) -> int:
    """Bytes behind everything reachable from ``built`` through attributes, containers and closures, each memory once.

    A view counts with the whole memory that it keeps alive. Modules and classes are not entered; raw bytes count too.
    """
    seen: set[int] = set()
    memories: dict[tuple[str, int], int] = {}
    waiting, looked = [built], 0
    while waiting and looked < LOOKED_AT_MOST:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (str, int, float, type, types.ModuleType, type(None))):
            continue
        seen.add(id(value))
        looked += 1
        if torch.is_tensor(value):
            memory = value.untyped_storage()
            memories["torch", memory.data_ptr()] = memory.nbytes()
            waiting += [value.grad] if value.is_leaf and value.grad is not None else []
            waiting += list(getattr(value, "__dict__", {}).values())  # a quantized parameter keeps its scales there
        elif isinstance(value, numpy.ndarray):
            base = value
            while isinstance(base.base, numpy.ndarray):
                base = base.base
            memories["numpy", base.__array_interface__["data"][0]] = base.nbytes
        elif isinstance(value, (bytes, bytearray)):
            memories["bytes", id(value)] = len(value)
        else:
            waiting += _inside(value)
    return sum(memories.values())


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, types.FunctionType):
        return [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    slots = [getattr(value, name) for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
    return [*slots, *getattr(value, "__dict__", {}).values()]


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else [name for name in slots if not name.startswith("__")]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
