"""A change of one of the implementation's files, as plain data."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Change:
    """A file as it stands, and as it would read. ``cost``: how far apart the two are; small ones are preferred."""

    file: str
    before: str
    after: str
    cost: float = 1.0

    def diff(self, folder: Path | None = None, context: int = 3) -> str:
        """The unified diff that ``git apply`` and ``patch -p1`` take, with paths below ``folder`` (None: as they are).

        ``context``: lines around what changes. Ends with a line break; empty where nothing changes.
        """
        name = _below(self.file, folder)
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", n=context)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True)
class ProvenChange:
    """A change that fixes a component: its unified diff, and the proof.

    ``checks_run``: checks of the component that were judged with the change, ``checks_held``: those that passed. None
    failed; one that did not pass is barely checked.
    """

    diff: str
    checks_held: int
    checks_run: int

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ProvenChange:
        """The change of plain values. Raises TypeError where a field is unknown or absent."""
        return cls(**values)


def merged(changes: Iterable[Change]) -> tuple[Change, ...] | None:
    """One change for each file that makes all of these; None where two of them change the same lines differently.

    All changes of a file begin with the same text.
    """
    by_file: dict[str, list[Change]] = {}
    for change in changes:
        by_file.setdefault(change.file, []).append(change)
    found = []
    for file, group in by_file.items():
        before = group[0].before.splitlines(keepends=True)
        edits = {edit for change in group for edit in _edits(before, change.after.splitlines(keepends=True))}
        ordered = sorted(edits)
        if any(one[1] > other[0] or one[:2] == other[:2] for one, other in itertools.pairwise(ordered)):
            return None
        after = list(before)
        for start, end, new in reversed(ordered):
            after[start:end] = new
        found.append(Change(file, group[0].before, "".join(after), max(change.cost for change in group)))
    return tuple(found)


def _edits(before: list[str], after: list[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Which lines become which: first, one behind the last, and the new ones."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [(a, b, tuple(after[c:d])) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _below(file: str, folder: Path | None) -> str:
    path = Path(file)
    if folder is not None:
        try:
            return path.resolve().relative_to(folder.resolve()).as_posix()
        except ValueError:
            pass
    return path.as_posix().lstrip("/")
