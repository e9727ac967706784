"""What every reader returns: named columns over the rows of a log; and what it raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class CurveUnreadable(Exception):
    """A log that cannot be read. The text names the file, the line where there is one, and what was expected."""

    def __init__(self, path: Path | str, line: int, expected: str) -> None:
        place = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{place}: {expected}")


@dataclass
class Table:
    """Rows of a log: name of a column -> number. A value that was not logged is absent; NaN was logged as such.

    ``planned``: how many steps the run was to have, where the log says so. ``restarts``: rows before which the log says
    that a run was resumed.
    """

    file_format: str
    rows: list[dict[str, float]] = field(default_factory=list)
    planned: float | None = None
    restarts: list[int] = field(default_factory=list)

    def names(self) -> list[str]:
        """The columns in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


@dataclass(frozen=True)
class Reader:
    """One format. ``fits(path, head)``: whether a file is of it, by its name and its first bytes. ``read`` raises
    CurveUnreadable or OSError. Readers are asked in the order of ``rank``."""

    title: str
    fits: Callable[[Path, bytes], bool]
    read: Callable[[Path], Table]
    rank: int = 50
    folders: bool = False
    """Whether it also reads folders."""


def number(text: str) -> float | None:
    """The number that a text is, NaN and infinities included; None where it is none."""
    plain = text.strip().strip("%,;").replace("\u2212", "-")
    if not plain or plain[0] not in "+-.0123456789nNiI":
        return None
    try:
        return float(plain)
    except ValueError:
        return None


def text_of(path: Path) -> str:
    """The text of a file, whatever its line ends. Raises CurveUnreadable where it is binary."""
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    if b"\0" in raw[:4096]:
        raise CurveUnreadable(path, 0, "text was expected, but the file is binary and no event file that is known")
    return raw.decode("utf-8-sig", errors="replace")
