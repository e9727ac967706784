"""Earlier names of claims and known mistakes, which files and commands written for an earlier version still use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.core.note import Note, NoteCode
from harness.core.record import Verdict

SHOWN = 4
"""Changed names that a note spells out; the rest is counted."""


@dataclass(frozen=True)
class Names:
    """Today's names by the earlier ones. ``claims``: by component. ``mistakes``: full names, ``component.name``.

    A name that is nobody's earlier name is returned as it is. What was looked up under an earlier name is remembered
    for :meth:`note`.
    """

    claims: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mistakes: Mapping[str, str] = field(default_factory=dict)
    _changed: dict[str, str] = field(default_factory=dict)

    def claim(self, component: str, name: str) -> str:
        """Today's name of a component's claim."""
        current = self.claims.get(component, {}).get(name, name)
        return self._noted(f"{component}::{name}", f"{component}::{current}").partition("::")[2]

    def check(self, check: str) -> str:
        """Today's name of ``component::claim``; a component alone keeps its name."""
        component, separator, name = check.partition("::")
        return f"{component}::{self.claim(component, name)}" if separator else check

    def mistake(self, full_name: str) -> str:
        """Today's full name of a known mistake."""
        return self._noted(full_name, self.mistakes.get(full_name, full_name))

    def verdict(self, verdict: Verdict) -> Verdict:
        """A verdict of an earlier run, under today's names."""
        claim = self.claim(verdict.component, verdict.claim)
        finding, or_else = (tuple(map(self.mistake, names)) for names in (verdict.finding, verdict.or_else))
        return replace(verdict, claim=claim, finding=finding, or_else=or_else)

    def notes(self) -> tuple[Note, ...]:
        """The note of :meth:`note`, where there is one."""
        text = self.note()
        return (Note("", NoteCode.RENAMED, text),) if text else ()

    def note(self) -> str:
        """One sentence with the names that have changed; empty where none was looked up under an earlier name."""
        if not self._changed:
            return ""
        changes = [f"{earlier} is now {current}" for earlier, current in self._changed.items()]
        rest = f", and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        return f"names that have changed: {', '.join(changes[:SHOWN])}{rest}"

    def _noted(self, earlier: str, current: str) -> str:
        if earlier != current:
            self._changed[earlier] = current
        return current
