"""The run as one JSON file, rewritten atomically as the run goes, so that an interrupted run keeps what it found."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.core.benchmark import Benchmark
from harness.core.fact import Fact
from harness.core.verdict import Card, Record, Verdict


def encode(value: Any) -> str:
    """The JSON text of anything that a record holds."""
    return json.dumps(value, allow_nan=True, default=str)


class Writer:
    """Writes one record that grows: a verdict is encoded once, however often the file is written."""

    def __init__(self) -> None:
        self._verdicts: list[str] = []

    def write(self, record: Record, path: Path) -> None:
        """Write beside the file, then rename: readers see the old or the new record, never half of one. Raises OSError."""
        self._verdicts += [encode(v.as_dict()) for v in record.verdicts[len(self._verdicts) :]]
        others = asdict(replace(record, verdicts=[]))
        del others["verdicts"]
        lines = [f"{encode(name)}: {encode(value)}" for name, value in others.items()]
        lines.append('"verdicts": [\n' + ",\n".join(self._verdicts) + "\n]")
        atomically("{\n" + ",\n".join(lines) + "\n}\n", path)


def write(record: Record, path: Path) -> None:
    """Write a record once. Raises OSError; what stood there before is then still there."""
    Writer().write(record, path)


def atomically(text: str | bytes, path: Path) -> None:
    """Text (UTF-8, as it is) or bytes as a file: whole, or as it was before. What is no file (a pipe, a terminal) is written to. Raises OSError."""
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
    except BaseException:  # half of it is nobody's, also where Ctrl-C came in between
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> Record:
    """The record of a run. Raises ValueError naming the file where it is none, or of another version."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or values.get("version") != 1:
        found = values.get("version") if isinstance(values, dict) else None
        raise ValueError(f"{path} is not a run record of version 1 (its version: {found!r})")
    values["verdicts"] = [Verdict.from_dict(v) for v in values["verdicts"]]
    values["cards"] = {k: Card(**{**c, "seen_in": tuple(c["seen_in"])}) for k, c in values["cards"].items()}
    values["facts"] = [Fact(**fact) for fact in values.get("facts", [])]
    values["benchmarks"] = [Benchmark.from_dict(benchmark) for benchmark in values.get("benchmarks", [])]
    values["parts"] = {k: tuple(v) for k, v in values["parts"].items()}
    for name in ("order", "missing", "notes"):
        values[name] = tuple(values[name])
    return Record(**values)
