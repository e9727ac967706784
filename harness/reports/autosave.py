"""Saves a run's record while the run goes on. The file is whole at any moment and holds every verdict so far."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from harness.core.note import Note, NoteCode
from harness.core.record import RunRecord
from harness.reports.json_file import Writer

SECONDS = 1.0
"""How long checks that say only that something is to do may wait to be written."""


class Autosave:
    """Writes one record again and again.

    If its folder cannot be written to (read-only, a file in its way), the record goes to a temporary folder, which a
    note of the record names. If the disk is full, the last whole file stays, and each later call tries again.
    """

    def __init__(self, record: RunRecord, path: Path) -> None:
        self.record, self.path, self.wanted = record, path, path
        self._writer = Writer()
        self._notes: dict[tuple[NoteCode, str], Note] = {}
        """The notes made here, by their code and topic."""
        self._tidy(path)
        self._kept = 0.0
        """When it was written last, in seconds since 1970."""

    def keep_in_time(self) -> None:
        """Write the record, unless that was done within the last second: what is new in it was no work."""
        if not 0 <= time.time() - self._kept < SECONDS:
            self.keep()

    def keep(self) -> bool:
        """Write the record as it is now. Returns whether that was possible."""
        self._kept = time.time()
        self.record.seconds = self._kept - self.record.started
        try:
            self._writer.write(self.record, self.path)
        except OSError as error:
            return self._elsewhere(error)
        self._forget(NoteCode.RECORD_NOT_WRITTEN)
        return True

    def note(self, code: NoteCode, text: str, topic: str = "") -> None:
        """Add a note to the record. Of several notes with one code on one ``topic``, keep the last."""
        self._forget(code, topic)
        note = Note("", code, text)
        self._notes[code, topic] = note
        self.record.notes = (*(other for other in self.record.notes if other != note), note)

    @property
    def shown(self) -> str:
        """Where the record is, as seen from the folder of the run."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    def _elsewhere(self, error: OSError) -> bool:
        if self.path != self.wanted or self.path.exists():  # it could be written before, and may be again
            self.note(
                NoteCode.RECORD_NOT_WRITTEN, f"the record could not be written: {self.path} ({error}); {self._left()}"
            )
            return False
        folder = Path(tempfile.gettempdir()) / f"plumbline-{os.getpid()}"
        self.path = folder / self.wanted.name
        self.note(
            NoteCode.RECORD_ELSEWHERE, f"the record goes to {self.path}: {self.wanted} cannot be written ({error})"
        )
        try:
            self._writer.write(self.record, self.path)
        except OSError as second:
            text = f"the record could not be written: neither {self.wanted} ({error}) nor {self.path} ({second})"
            self.note(NoteCode.RECORD_NOT_WRITTEN, text)
            self.path = self.wanted
            return False
        return True

    def _left(self) -> str:
        return "what it held before is still there" if self.path.exists() else "there is none"

    def _forget(self, code: NoteCode, topic: str = "") -> None:
        """Remove the note with this code on this topic, if there is one."""
        old = self._notes.pop((code, topic), None)
        if old is not None:
            self.record.notes = tuple(note for note in self.record.notes if note != old)

    def _tidy(self, path: Path) -> None:
        """Remove what runs that were killed while they wrote have left beside the file."""
        for left in path.parent.glob(f".{path.name}.*"):
            if left.suffix[1:].isdigit() and not _runs(int(left.suffix[1:])):
                left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        return True
    return True
