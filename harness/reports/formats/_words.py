"""Somebody's words, made fit for every face: valid Unicode in which nothing acts, cut where nobody would read on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from harness.core.formatting import valid

MOST = 3000
"""Characters that a face shows of one text. The record keeps all of it."""
TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
"""Colours and other orders to a terminal (ECMA-48)."""
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""Control characters, all that XML 1.0 has no place for, and what turns the direction of writing around."""


def readable(value: Any) -> Any:
    """The same record with every text as :func:`words` gives it."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return words(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: readable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    if isinstance(value, Mapping):
        return {readable(key): readable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(readable(inner) for inner in value)
    return value


def words(text: str) -> str:
    """Orders to a terminal are left out, what acts or cannot be written is shown as Python writes it."""
    plain = ACTING.sub(
        lambda found: found[0].encode("unicode-escape").decode(), TERMINAL.sub("", valid(text).replace("\r\n", "\n"))
    )
    return (
        plain if len(plain) <= MOST else f"{plain[:MOST]} ... ({len(plain) - MOST} more characters in the run's record)"
    )
