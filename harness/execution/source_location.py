"""Where in their files a function or class is defined."""

from __future__ import annotations

import inspect

from harness.core.notebook import shown_line


def source_location(source: object) -> tuple[str, int]:
    """(file, line) of a function or class; ("", 0) where there is none, as of a builtin."""
    code = getattr(source, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        inner = inspect.unwrap(source)  # type: ignore[arg-type]
        return inspect.getsourcefile(inner) or "", inspect.getsourcelines(inner)[1]
    except (TypeError, OSError):
        return "", 0


def described(source: object) -> str:
    """``GPT (model.py:12)``: its name, and where it stands; of an object its class."""
    named = source if hasattr(source, "__name__") else type(source)
    name = str(getattr(named, "__qualname__", None) or getattr(named, "__name__", named))
    file, line = source_location(named)
    return f"{name} ({shown_line(file, line, short=True)})" if file else name
