"""Where in the person's own files something happens."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType

from harness.core.library_files import OURS, is_own_file


@dataclass(frozen=True)
class Place:
    """A line of a person's own file. ``file`` is empty and ``line`` 0 where no own file is on the stack."""

    file: str = ""
    line: int = 0
    function: str = ""

    def __bool__(self) -> bool:
        return bool(self.file)


class Places:
    """Finds the innermost frame in a person's own files. ``folders``: their files count as own wherever they lie."""

    def __init__(self, folders: tuple[str, ...] = ()) -> None:
        self._folders = folders
        self._known: dict[str, bool] = {}

    def is_own(self, file: str) -> bool:
        """Whether a file, by its name in a frame, is the person's."""
        if file not in self._known:
            given = bool(self._folders) and file.startswith(self._folders) and not file.startswith(OURS[0])
            self._known[file] = not file.startswith("<") and (given or is_own_file(file))
        return self._known[file]

    def here(self) -> Place:
        """The line of the innermost own frame of the caller's stack."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if self.is_own(frame.f_code.co_filename):
                return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
            frame = frame.f_back
        return Place()

    def caller(self) -> Place:
        """The line of the outermost function that is running in the innermost own file; of the module where none is."""
        stack = self.stack()
        same = [place for place in stack if place.file == stack[0].file]
        inside = [place for place in same if place.function != "<module>"]
        return (inside or [Place(), *same])[-1]

    def stack(self) -> tuple[Place, ...]:
        """Every own frame of the caller's stack, the innermost first."""
        found = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if self.is_own(frame.f_code.co_filename):
                found.append(Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        return tuple(found)

    def frames(self) -> list[FrameType]:
        """The own frames themselves, the innermost first."""
        found = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if self.is_own(frame.f_code.co_filename):
                found.append(frame)
            frame = frame.f_back
        return found
