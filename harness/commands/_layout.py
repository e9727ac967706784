"""Text laid out for the terminal that it is printed in."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

from harness.core.contract import Signature

WIDEST = 120
"""Columns; longer lines are hard to read."""
LEAST_ROOM = 48
"""Columns that a sentence beside a name needs; with fewer it stands below the name."""


def width() -> int:
    """Columns of the terminal, at most 120; 120 where the output goes to a file or a pipe."""
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)


def wraps() -> bool:
    """Whether lines are wrapped: in a terminal. In a pipe each entry stays in one line, for grep and awk."""
    return sys.stdout.isatty()


def paragraph(text: str, indent: str = "", rest: str | None = None) -> list[str]:
    """The text in lines; ``rest`` indents all but the first."""
    return textwrap.wrap(
        text,
        width(),
        initial_indent=indent,
        subsequent_indent=indent if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def named(entries: Iterable[tuple[str, str]], indent: str = "    ") -> list[str]:
    """Names and their sentences in two columns; in a narrow terminal each sentence stands below its name."""
    rows = list(entries)
    longest = max((len(name) for name, _ in rows), default=0)
    beside = len(indent) + longest + 2
    lines: list[str] = []
    for name, sentence in rows:
        if not wraps():
            lines.append(f"{indent}{name:<{longest}}  {sentence}")
        elif width() - beside >= LEAST_ROOM:
            lines += paragraph(sentence, f"{indent}{name:<{longest}}  ", " " * beside)
        else:
            lines += [f"{indent}{name}", *paragraph(sentence, f"{indent}    ")]
    return lines


def signature(name: str, call: Signature, indent: str = "    ") -> list[str]:
    """``name(x: float[..., width]) -> float[..., width]``; one argument a line where that is too long for one line."""
    one = f"{indent}{name}{call}"
    if len(one) <= width() or not call.arguments:
        return [one]
    arguments = [f"{indent}    {a.name}: {a.kind}{' or None' if a.optional else ''}," for a in call.arguments]
    return [f"{indent}{name}(", *arguments, f"{indent}) -> {call.result}"]
