"""One file per format of a log. Each defines READER; the first that fits a file reads it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from harness.core.registry import scan
from harness.curves.readers._table import CurveUnreadable, Reader, Table

LOGS = ("trainer_state.json", "metrics.csv", "*.jsonl", "*.csv", "*.log")
"""What the log of a run is called in its folder; the first that is there is read."""
LATEST_IS_WHOLE = ("trainer_state.json",)
"""Each checkpoint has one, and the latest holds the whole history."""
HEAD = 4096
"""Bytes by which a format is known."""


@cache
def readers() -> dict[str, Reader]:
    """Every reader by the name of its file, in the order in which they are asked."""
    import harness.curves.readers as package

    return dict(sorted(scan(package, "READER", Reader).items(), key=lambda pair: pair[1].rank))


def read_table(path: Path) -> Table:
    """The rows of a log. Raises CurveUnreadable where it cannot be read, or no format fits."""
    if not path.exists():
        raise CurveUnreadable(path, 0, "a file was expected; there is none of this name")
    try:
        head = b"" if path.is_dir() else _head(path)
        if not head and not path.is_dir():
            raise CurveUnreadable(path, 0, "a log was expected; the file is empty")
        for reader in readers().values():
            if (reader.folders or not path.is_dir()) and reader.fits(path, head):
                return reader.read(path)
        if path.is_dir():
            return read_table(_log_in(path))
    except OSError as error:
        raise CurveUnreadable(path, 0, f"a file that can be read was expected: {error}") from None
    known = "; ".join(reader.title for reader in readers().values())
    raise CurveUnreadable(path, 0, f"one of these formats was expected: {known}")


def _log_in(folder: Path) -> Path:
    """The one log in a folder of a run, at its top or in its folders: of several states of one run, the latest.

    Raises CurveUnreadable where there is none, or several.
    """
    for name in LOGS:
        found = sorted(folder.rglob(name), key=lambda file: (file.stat().st_mtime, file.stat().st_size))
        if len(found) == 1 or (found and name in LATEST_IS_WHOLE):
            return found[-1]
        if found:
            names = ", ".join(str(file.relative_to(folder)) for file in found[:3])
            raise CurveUnreadable(folder, 0, f"one log was expected; name one of the {len(found)} here ({names}, ...)")
    raise CurveUnreadable(folder, 0, f"a folder with one of these was expected: {', '.join(LOGS)}, TensorBoard, W&B")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
