"""A case as JSON and back: numbers exactly (shortest decimal that reads back the same), bytes and tensors marked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import torch

from harness.core.case import Call, Case
from harness.core.values import Earlier, Given, Resource, Settings


def to_json(case: Case) -> dict[str, Any]:
    """Plain values that ``json.dumps`` takes (infinities and nan as JSON's usual extensions)."""
    calls = [
        {
            "method": c.method,
            "arguments": {k: _packed(v) for k, v in c.arguments.items()},
            **({"of": c.of} if c.of else {}),
        }
        for c in case.calls
    ]
    return {"calls": calls, "dimensions": dict(case.dimensions), "family": case.family}


def from_json(values: dict[str, Any]) -> Case:
    """The case that was saved. Raises KeyError or ValueError where the file is not such a case."""
    calls = tuple(
        Call(c["method"], {k: _unpacked(v) for k, v in c["arguments"].items()}, c.get("of", ""))
        for c in values["calls"]
    )
    return Case(calls, values["dimensions"], values["family"])


def _packed_tensor(value: torch.Tensor) -> dict[str, Any]:
    flat = value.detach().cpu().contiguous().reshape(-1)
    numbers = flat.double().tolist() if flat.is_floating_point() else flat.tolist()
    packed = {"tensor": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "values": numbers}
    return packed if value.is_contiguous() else {**packed, "stride": list(value.stride())}


def _packed_text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates are no valid UTF-8
        return {"code points": [ord(character) for character in value]}
    return value


def _packed(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    for kind, packed in PACKERS:
        if isinstance(value, kind):
            return packed(value)
    raise TypeError(f"cannot save {value!r} of type {type(value).__name__} in a case")


PACKERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (torch.Tensor, _packed_tensor),
    (bytes, lambda value: {"bytes": base64.b64encode(value).decode()}),
    (str, _packed_text),
    (Settings, lambda value: {"settings": value.as_dict()}),
    (Resource, lambda value: {"resource": [value.where, _packed(value.arguments)]}),
    (Earlier, lambda value: {"earlier": [value.method, value.entry, value.back]}),
    (Given, lambda value: {"given": [value.method, value.argument]}),
    (dict, lambda value: {"entries": [[_packed(k), _packed(v)] for k, v in value.items()]}),
    (tuple, lambda value: {"tuple": [_packed(v) for v in value]}),
    ((set, frozenset), lambda value: {"set": [_packed(v) for v in sorted(value)]}),
    (list, lambda value: [_packed(v) for v in value]),
)
"""How each kind of value is written as JSON. The first one that fits counts."""


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        dtype = getattr(torch, value["tensor"])
        base = torch.float64 if dtype.is_floating_point else dtype
        flat = torch.tensor(value["values"], dtype=base).to(dtype).reshape(value["shape"])
        stride = value.get("stride")
        if stride is None:
            return flat
        if 0 in stride:
            narrow = flat
            for axis, step in enumerate(stride):
                narrow = narrow.narrow(axis, 0, 1) if step == 0 else narrow
            return narrow.clone().expand(value["shape"])
        return torch.empty_strided(value["shape"], stride, dtype=dtype).copy_(flat)
    kind, inner = next(iter(value.items()))
    makers: dict[str, Callable[[], Any]] = {
        "bytes": lambda: base64.b64decode(inner),
        "code points": lambda: "".join(map(chr, inner)),
        "settings": lambda: Settings(**inner),
        "resource": lambda: Resource(inner[0], _unpacked(inner[1])),
        "earlier": lambda: Earlier(*inner),
        "given": lambda: Given(*inner),
        "entries": lambda: {_unpacked(k): _unpacked(v) for k, v in inner},
        "tuple": lambda: tuple(_unpacked(v) for v in inner),
        "set": lambda: frozenset(_unpacked(v) for v in inner),
    }
    if kind not in makers:
        raise ValueError(f"a saved case holds an unknown kind of value: {kind!r}")
    return makers[kind]()
