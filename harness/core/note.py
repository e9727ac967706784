"""What a person should know that is no failure. Decisions read the code; the text is for people alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class NoteCode(str, Enum):
    """What a note is about."""

    NOT_CHECKED = "not checked"
    """Something that looks like a component and is not checked, with the reason."""
    SKIPPED = "skipped"
    """A component that the map of names says to skip."""
    FOUND_IN_CLASSES = "found in classes"
    """Components that were found in module classes, without a declaration."""
    STANDS_IN = "stands in"
    """A component that is judged in the place of one that is missing, which it includes."""
    PART_FORM = "part form"
    """The form in which a part is judged because it was found inside a model."""
    LIFTED = "lifted"
    """A script or notebook whose definitions were executed, and not its other statements."""
    GRADIENT = "gradient"
    """Which gradient is checked where somebody wrote a backward function."""
    PRECISION = "precision"
    """A component that is judged in float32, with the reason."""
    OPTIONAL_PARAMETERS = "optional parameters"
    """Cases without an optional parameter are left out."""
    RENAMED = "renamed"
    """Names of claims and mistakes that have changed."""
    NOTHING_JUDGED = "nothing judged"
    INTERRUPTED = "interrupted"
    NOT_MEASURED = "not measured"
    RECORD_NOT_WRITTEN = "record not written"
    RECORD_ELSEWHERE = "record elsewhere"
    REPORT_NOT_WRITTEN = "report not written"
    NO_CHANGE_SOUGHT = "no change sought"
    """Components for which no change was sought, since the time for that was over."""
    CASE_NOT_SAVED = "case not saved"
    """A failing case could not be written for ``plumbline replay``."""
    TRAINING = "training"
    """Something unusual in a training script that may be meant so."""
    TELLING_SET = "telling set"
    """Cases that were chosen beforehand, and that Hypothesis does not make as they were."""
    IN_PROCESS = "in process"
    """What ran in the judge's process, although another one was asked for, with the reason."""
    OTHER = "other"
    """A note of a record that had no codes yet."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Note:
    """One note. ``component``: the component that it is about; empty where it is about the run."""

    component: str
    code: NoteCode
    text: str

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, str]:
        """Plain values, which other processes and JSON take."""
        return {**asdict(self), "code": self.code.value}

    @classmethod
    def from_dict(cls, values: Any) -> Note:
        """The note of :meth:`as_dict`. Raises TypeError where it is none, ValueError where its code is unknown."""
        if not isinstance(values, dict) or set(values) != {"component", "code", "text"}:
            raise TypeError(f"no note: {values!r}"[:200])
        if not isinstance(values["component"], str) or not isinstance(values["text"], str):
            raise TypeError(f"the component and the text of a note are texts: {values!r}"[:200])
        return cls(values["component"], NoteCode(values["code"]), values["text"])
