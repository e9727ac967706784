"""What a person should know of how an implementation was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A sentence, and what it is about: a component by its name, a module class, or neither."""

    text: str
    component: str = ""
    kind: type | None = None
