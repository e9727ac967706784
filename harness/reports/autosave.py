"""Saves a run's record while the run goes on. The file is whole at any moment and holds every verdict so far."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from harness.core.record import RunRecord
from harness.reports.json_file import Writer

NOT_WRITTEN, ELSEWHERE = "record not written", "record elsewhere"
"""Topics of notes."""


class Autosave:
    """Writes one record again and again.

    If its folder cannot be written to (read-only, a file in its way), the record goes to a temporary folder, which a
    note of the record names. If the disk is full, the last whole file stays, and each later call tries again.
    """

    def __init__(self, record: RunRecord, path: Path) -> None:
        self.record, self.path, self.wanted = record, path, path
        self._writer = Writer()
        self._notes: dict[str, str] = {}
        """The notes made here, by their topic."""
        self._tidy(path)

    def keep(self) -> bool:
        """Write the record as it is now. Returns whether that was possible."""
        self.record.seconds = time.time() - self.record.started
        try:
            self._writer.write(self.record, self.path)
        except OSError as error:
            return self._elsewhere(error)
        self._forget(NOT_WRITTEN)
        return True

    def note(self, text: str, topic: str = "") -> None:
        """Add a note to the record. Of several notes on one ``topic`` (by default the text itself), keep the last."""
        topic = topic or text
        self._forget(topic)
        self._notes[topic] = text
        self.record.notes = (*(note for note in self.record.notes if note != text), text)

    @property
    def shown(self) -> str:
        """Where the record is, as seen from the folder of the run."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    def _elsewhere(self, error: OSError) -> bool:
        if self.path != self.wanted or self.path.exists():  # it could be written before, and may be again
            self.note(f"the record could not be written: {self.path} ({error}); {self._left()}", NOT_WRITTEN)
            return False
        folder = Path(tempfile.gettempdir()) / f"plumbline-{os.getpid()}"
        self.path = folder / self.wanted.name
        self.note(f"the record goes to {self.path}: {self.wanted} cannot be written ({error})", ELSEWHERE)
        try:
            self._writer.write(self.record, self.path)
        except OSError as second:
            text = f"the record could not be written: neither {self.wanted} ({error}) nor {self.path} ({second})"
            self.note(text, NOT_WRITTEN)
            self.path = self.wanted
            return False
        return True

    def _left(self) -> str:
        return "what it held before is still there" if self.path.exists() else "there is none"

    def _forget(self, topic: str) -> None:
        """Remove the note on this topic, if there is one."""
        old = self._notes.pop(topic, None)
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
