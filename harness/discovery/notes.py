"""What a person should know of how an implementation was found."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.note import Note, NoteCode


@dataclass(frozen=True)
class FoundNote:
    """A sentence, and what it is about: a component by its name, a module class, or neither."""

    text: str
    code: NoteCode = NoteCode.NOT_CHECKED
    component: str = ""
    kind: type | None = None

    def as_note(self) -> Note:
        """As a record keeps it."""
        return Note(self.component, self.code, self.text)
