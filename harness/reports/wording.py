"""Numbers, lists and paragraphs as every report writes them."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable

WIDTH = 108
"""Columns of a report that goes to a file or a service; a terminal gives its own."""


def number(value: float) -> str:
    """Two significant digits, ``0.25`` or ``3e12``."""
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].replace("+", ""), f"{value:.2g}")


def percent(error: float) -> str:
    """An error in units of the tolerance as a share of it, ``25 %``. Nan where there is no number."""
    value = 100 * error
    return f"{value:.0f} %" if 99.5 <= value < 1e6 else f"{number(value)} %"


def share_of_tolerance(error: float) -> str:
    """``25 % of the tolerance``."""
    return f"{percent(error)} of the tolerance"


def times_the_tolerance(excess: float | None) -> str:
    """``3e12 times the tolerance``; empty where the error has no number."""
    return f"{number(excess)} times the tolerance" if excess and math.isfinite(excess) else ""


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *rest, last = [*names] or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def wrapped(text: str, width: int = WIDTH, first: str = "", rest: str | None = None) -> list[str]:
    """A paragraph in lines, the first and the rest indented by these; words are never broken."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first]
