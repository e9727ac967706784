"""What the project has to say of single mutants: why one changes nothing, or why one still survives."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import Any

from harness.core.errors import UsageError
from harness.mutation.making import Key, Mutant

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FEWEST_WORDS = 5


class Kind(str, Enum):
    """What is said of a mutant."""

    EQUIVALENT = "equivalent"
    """No call can tell it from the reference: it is left out of the score."""
    OPEN = "open"
    """It is wrong, or worse, and no check sees it: it counts as a survivor."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Stored:
    """What is said of one mutant: its kind and, in a sentence, why."""

    key: Key
    kind: Kind
    reason: str


def stored_of(component: str) -> list[Stored]:
    """What ``specs/mutants/<component>.toml`` says; nothing where there is no such file."""
    file = resources.files("specs") / "mutants" / f"{component}.toml"
    return read(file.read_text(encoding="utf-8"), file.name) if file.is_file() else []


def stored_components() -> list[str]:
    """The components that have a file, in alphabetical order."""
    folder = resources.files("specs") / "mutants"
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def read(text: str, name: str) -> list[Stored]:
    """The entries of one file. Raises UsageError for a damaged file, a word too few and an entry that stands twice."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"specs/mutants/{name}: {error}") from None
    unknown = sorted(set(table) - {kind.value for kind in Kind})
    if unknown:
        raise UsageError(f"specs/mutants/{name}: there is no kind {unknown[0]!r}")
    found = [_entry(kind, entry, name) for kind in Kind for entry in table.get(kind.value, [])]
    keys = [stored.key for stored in found]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"specs/mutants/{name}: {key[0]}: {key[1]!r} -> {key[2]!r} stands twice")
    return found


def _entry(kind: Kind, entry: dict[str, Any], name: str) -> Stored:
    try:
        key = (entry["of"], entry["before"], entry["after"], entry.get("nth", 1))
        reason = entry["reason"]
    except KeyError as missing:
        raise UsageError(f"specs/mutants/{name}: an entry has no {missing}") from None
    if len(reason.split()) < FEWEST_WORDS or not reason.endswith("."):
        raise UsageError(f"specs/mutants/{name}: {key[0]}: a reason is a sentence, not {reason!r}")
    return Stored(key, kind, reason)


def gone(stored: Iterable[Stored], everything: Iterable[Mutant]) -> list[Stored]:
    """What is said of mutants that do not exist (any more)."""
    keys = {mutant.key for mutant in everything}
    return [entry for entry in stored if entry.key not in keys]
