"""The run as one JSON file, rewritten atomically as the run goes, so that an interrupted run keeps what it found."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.core.benchmark import Benchmark
from harness.core.fact import Fact
from harness.core.verdict import Card, Record, Verdict


def write(record: Record, path: Path) -> None:
    """Write beside the file, then rename: readers see the old or the new record, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(asdict(record), indent=1, allow_nan=True, default=str), encoding="utf-8")
    os.replace(beside, path)


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
