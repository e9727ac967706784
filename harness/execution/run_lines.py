"""Which lines of the implementation's own files a run executes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from harness.core.library_files import is_own_file

Lines = dict[str, set[int]]
"""Numbers of lines, from 1, by file."""


def lines_of(run: Callable[[], object]) -> Lines:
    """The lines that a call executes in own files, in this thread; none where somebody else traces (a debugger)."""
    found: Lines = {}
    if sys.gettrace() is not None:
        return found
    is_own: dict[str, bool] = {}

    def called(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if file not in is_own:
            is_own[file] = not file.startswith("<") and is_own_file(file)
        return line if is_own[file] else None

    def line(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        if event == "line":
            found.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return line

    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(None)
    return found
