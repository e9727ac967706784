"""Dataclasses as plain values that any strict JSON reader takes, and back; and what the two agree on, as a JSON schema.

Numbers that JSON has none for are the strings "inf", "-inf" and "nan" in the place of a number. Text is valid Unicode.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from harness.core.formatting import valid

NO_NUMBERS = ("inf", "-inf", "nan")


def to_plain(value: Any) -> Any:
    """Dictionaries, lists, text, numbers, booleans and None; what is none of them becomes text."""
    kind = type(value)
    if kind is str:  # nearly all of a record, which is written after every check: no questions about its kind
        return value if value.isascii() else valid(value)
    if kind in (int, bool, type(None)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {valid(str(key)): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else str(float(value))
    return valid(str(value))


def from_plain(kind: Any, value: Any) -> Any:
    """The value of this type that :func:`to_plain` made plain; unknown names of a dataclass are ignored.

    Raises TypeError or ValueError where it is something else.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = [k for k in inner if k is not type(None)]
        return None if value is None else from_plain(kinds[0], value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict):
            raise TypeError(f"a {kind.__name__} is an object, not {value!r}"[:200])  # type: ignore[union-attr]
        known = {field.name for field in dataclasses.fields(kind)}
        fields = {name: from_plain(hints[name], v) for name, v in value.items() if name in known}
        return kind(**fields)  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if origin is tuple:
        return tuple(from_plain(inner[0], v) for v in value)
    if origin in (list, Sequence):
        return [from_plain(inner[0], v) for v in value]
    if origin in (dict, Mapping):
        return {key: from_plain(inner[1], v) for key, v in value.items()}
    if kind is float and isinstance(value, str):
        return float(value)
    return value


NUMBER = {
    "description": "A number; the three that JSON has no way to write are text.",
    "oneOf": [{"type": "number"}, {"enum": list(NO_NUMBERS)}],
}
PLAIN = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"$ref": "#/$defs/number"},
}


def schema(kind: type, limits: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema 2020-12 of a dataclass in plain values. ``limits``: (class, field) -> further constraints."""
    definitions: dict[str, Any] = {"number": NUMBER}
    whole = _schema(kind, limits, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(
    kind: Any, limits: Mapping[tuple[str, str], Mapping[str, Any]], definitions: dict[str, Any]
) -> dict[str, Any]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"oneOf": [_schema(k, limits, definitions) for k in inner if k is not type(None)] + [{"type": "null"}]}
    if dataclasses.is_dataclass(kind):
        name = kind.__name__  # type: ignore[union-attr]
        if name not in definitions:
            definitions[name] = {}  # met again inside itself
            hints = typing.get_type_hints(kind)
            fields = [field.name for field in dataclasses.fields(kind)]
            definitions[name] = {
                "type": "object",
                "description": (kind.__doc__ or "").strip().split("\n")[0],
                "required": fields,
                "properties": {
                    f: {**_schema(hints[f], limits, definitions), **limits.get((name, f), {})} for f in fields
                },
            }
        return {"$ref": f"#/$defs/{name}"}
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": _schema(inner[0], limits, definitions)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], limits, definitions)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return dict(PLAIN.get(kind, {}))
