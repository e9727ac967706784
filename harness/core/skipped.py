"""Names that a lifted script would have bound in statements that were not executed."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from types import TracebackType
from typing import Any

SKIPPED = "__plumbline_skipped__"
"""The name in a lifted module under which it keeps these names, each with the line that would bind it, in words."""

LIFTED = "__plumbline_lifted__"
"""The name in a lifted module under which it keeps what was executed of it (harness.discovery.scripts.Script)."""


def skipped_in(namespace: Mapping[str, Any]) -> Mapping[str, str]:
    """The names of a lifted module that were not bound, with the lines that would; none of another module."""
    found = namespace.get(SKIPPED)
    return found if isinstance(found, Mapping) else {}


def why_unbound(error: BaseException) -> str:
    """Why a name of a lifted script is missing, in words; an empty text where the error is about something else."""
    if not isinstance(error, NameError) or not error.name or hasattr(builtins, error.name):
        return ""
    traceback: TracebackType | None = error.__traceback__
    line = ""
    while traceback is not None:
        line = skipped_in(traceback.tb_frame.f_globals).get(error.name, "")
        traceback = traceback.tb_next
    return f"it needs {error.name}, which {line} would make: not run, since the file is a script" if line else ""
