"""The run as one JSON file, rewritten atomically as the run goes, so that an interrupted run keeps what it found."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.core.record import VERSION, RunRecord, Verdict
from harness.reports.earlier_versions import as_today
from harness.reports.plain import from_plain, schema, to_plain

LIMITS: dict[tuple[str, str], dict[str, Any]] = {
    ("RunRecord", "version"): {"const": VERSION},
    ("RunRecord", "seed"): {"minimum": 0},
    ("Verdict", "cases"): {"minimum": 0},
    ("Verdict", "line"): {"minimum": 0},
    ("Verdict", "false_alarm"): {"minimum": 0, "maximum": 1},
}


def encode(value: Any) -> str:
    """The JSON text of anything that a record holds, for any reader of JSON."""
    return json.dumps(to_plain(value), allow_nan=False)


LASTING = ("planned", "parts", "meanings", "summaries", "signatures", "grounds")
"""Dictionaries of a record whose entries are exchanged, never written to: encoded anew when one of them was."""


class Writer:
    """Writes one record that grows: a verdict is encoded once, however often the file is written."""

    def __init__(self) -> None:
        self._verdicts: list[tuple[Verdict, str]] = []
        self._lasting: dict[str, tuple[dict[str, Any], str]] = {}

    def write(self, record: RunRecord, path: Path) -> None:
        """Write a file beside it and rename that: readers see the old record or the new one. Raises OSError."""
        known = [*self._verdicts, *[None] * len(record.verdicts)]
        pairs = zip(record.verdicts, known, strict=False)
        self._verdicts = [pair if pair is not None and pair[0] is v else (v, encode(v)) for v, pair in pairs]
        names = [field.name for field in fields(record) if field.name != "verdicts"]
        lines = [f"{encode(name)}: {self._text(name, getattr(record, name))}" for name in names]
        lines.append('"verdicts": [\n' + ",\n".join(text for _, text in self._verdicts) + "\n]")
        atomically("{\n" + ",\n".join(lines) + "\n}\n", path)

    def _text(self, name: str, value: Any) -> str:
        if name not in LASTING:
            return encode(value)
        if name not in self._lasting or self._lasting[name][0] != value:
            self._lasting[name] = dict(value), encode(value)
        return self._lasting[name][1]


def as_kept(verdict: Verdict) -> Verdict:
    """A verdict as it will be read from the record: any text in it can be written and sent to other processes."""
    kept: Verdict = from_plain(Verdict, to_plain(verdict))
    return kept


def write(record: RunRecord, path: Path) -> None:
    """Write a record once. Raises OSError; what stood there before is then still there."""
    Writer().write(record, path)


def atomically(text: str | bytes, path: Path) -> None:
    """Write text (as UTF-8) or bytes to a file, which is whole at any moment. Raises OSError and leaves the file then.

    What is no regular file (a pipe, a terminal) is written to directly.
    """
    content = text if isinstance(text, bytes) else text.encode("utf-8")
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve()  # the file behind a link, not the link
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except BaseException:  # KeyboardInterrupt included: half a file is of no use
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> RunRecord:
    """The record of a run, also of an earlier version. Raises ValueError, TypeError or KeyError where it is none."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path} is not a run record: it holds no object with a version")
    try:
        today = as_today(values)
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from None
    record: RunRecord = from_plain(RunRecord, today)
    return record


def record_schema() -> str:
    """What ``docs/run.schema.json`` holds, for readers in other languages."""
    titled = {"title": "The record of a run of Plumbline", **schema(RunRecord, LIMITS)}
    return json.dumps(titled, indent=1) + "\n"


if __name__ == "__main__":
    print(record_schema(), end="")
