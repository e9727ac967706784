"""Mistakes that are planted in somebody's file by an edit of its text, so that the wrong line is known.

A folder has them in ``mistakes.toml``: a table for each file, with ``edit = [right, wrong]`` and ``fails`` (components
of which one must fail), or ``edits``, each ``[right, wrong]``, then the component where the table names none, and
``"after"`` where the line before the edit is as right to mark: what comes after it is missing. Where
``expected.toml`` stands beside it, that says what is declared of a file, and which components pass without a mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:  # a dependency of pytest
    import tomli as tomllib

MISTAKES, EXPECTED = "mistakes.toml", "expected.toml"
AFTER = "after"


@dataclass(frozen=True)
class Planted:
    """A mistake in a file: ``text`` is the file with it, ``lines`` are those that are wrong, from 1.

    ``right`` became ``wrong``. ``components``: which it may spoil. ``declared``: legal forms, as ``--impl-variant``
    takes them.
    """

    name: str
    file: Path
    text: str
    lines: range
    right: str
    wrong: str
    components: tuple[str, ...]
    declared: str = ""
    after: tuple[int, ...] = ()
    """Lines after which something is missing, where that is as right to say: the mistake leaves a value as it was
    computed there."""

    def plant(self, folder: Path) -> Path:
        """Write the file with the mistake in it."""
        path = folder / self.file.name
        path.write_text(self.text, encoding="utf-8")
        return path


@dataclass(frozen=True)
class Style:
    """A file that is right: its declarations, and the components that pass."""

    file: Path
    declared: str
    passes: tuple[str, ...]


def edited(file: Path, start: int, right: str, wrong: str, after: bool = False) -> tuple[str, range]:
    """The text of a file in which ``right`` at ``start`` became ``wrong``, and the lines that are wrong."""
    text = file.read_text(encoding="utf-8")
    first = text[:start].count("\n") + 1
    lines = range(first - 2 if after else first, first + wrong.count("\n") + 1)
    return f"{text[:start]}{wrong}{text[start + len(right) :]}", lines


def planted_in(folder: Path) -> Iterator[Planted]:
    """The mistakes of a folder's ``mistakes.toml`` that stand in a file of Python and are found by a check."""
    styles = styles_in(folder)
    for name, table in _tables(folder / MISTAKES).items():
        style = styles.get(name, Style(folder / f"{name}.py", "", ()))
        if "waits" in table or style.file.suffix != ".py":
            continue
        edits = table.get("edits", [table["edit"]] if "edit" in table else [])
        text = style.file.read_text(encoding="utf-8")
        for n, (right, wrong, *more) in enumerate(edits):
            if right not in text:
                raise UsageError(f"{folder / MISTAKES}, [{name}]: {style.file.name} has no {right!r}")
            components = tuple(table["fails"]) if "fails" in table else (more[0] if more else table["component"],)
            whole, lines = edited(style.file, text.index(right), right, wrong, AFTER in more)
            called = f"{name}-{n}" if "edits" in table else name
            yield Planted(called, style.file, whole, lines, right, wrong, components, style.declared)


def styles_in(folder: Path) -> dict[str, Style]:
    """The files of a folder of which something is known to pass, by their names."""
    found = {}
    for name, table in _tables(folder / EXPECTED).items():
        if "impl" in table:
            continue
        file = folder / table.get("file", f"{name}.py")
        found[name] = Style(file, table.get("declared", ""), tuple(table.get("passes", ())))
    return found


def _tables(path: Path) -> Mapping[str, Any]:
    """What a file of tables holds; nothing where it is not there. Raises UsageError where it is no TOML."""
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
