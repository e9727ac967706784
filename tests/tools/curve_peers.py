"""The same labelled curves before other tools: what they flag (a warning or worse), and whether they name it.

Installed beside each other in an environment of their own: ``pip install runmedic trainspotter trainproof``. Each
reads the curve as a CSV file of its own usual columns. The mapping of names is generous: a related finding counts.
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curve_table import is_right, label

from harness.curves.columns import curve_of
from harness.curves.judging import judge
from harness.curves.readers.json_document import table_of

DRIVER = """
import contextlib, importlib.metadata, io, json, sys
name, arguments, files = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
entry = next(e for e in importlib.metadata.entry_points(group="console_scripts") if e.name == name).load()
for file in files:
    out = io.StringIO()
    sys.argv = [name, *[file if a == "FILE" else a for a in arguments]]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            entry()
    except SystemExit:
        pass
    print(json.dumps(out.getvalue()), flush=True)
"""
COMMANDS = {
    "runmedic": ["diagnose", "--json", "FILE"],
    "trainspotter": ["analyze", "FILE", "--output", "json"],
    "trainproof": ["epoch", "--json", "FILE"],
}
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "runmedic": {
        "divergence": ("divergence", "non_finite", "grad_explosion"),
        "nan": ("non_finite",),
        "overfit": ("overfitting",),
        "rate-low": ("no_learning",),
        "rate-high": ("no_learning", "divergence"),
        "spikes": ("loss_spikes", "spikes", "grad_explosion"),
        "leak": ("val_below_train",),
        "repeated": ("overfitting",),
    },
    "trainspotter": {
        "divergence": ("divergence", "grad_norm"),
        "nan": ("divergence",),
        "overfit": ("overfitting",),
        "rate-low": ("plateau",),
        "rate-high": ("plateau", "divergence"),
        "spikes": ("spikes", "grad_norm"),
        "leak": ("loss_floor",),
        "repeated": ("overfitting",),
    },
    "trainproof": {
        "divergence": ("TP-DIVERGE", "TP-NAN", "TP-GRAD-SPIKE"),
        "nan": ("TP-NAN",),
        "overfit": ("TP-OVERFIT",),
        "rate-low": ("TP-FLAT", "TP-DEAD-RUN", "TP-STALL"),
        "rate-high": ("TP-FLAT", "TP-DEAD-RUN", "TP-DIVERGE", "TP-STALL"),
        "spikes": ("TP-GRAD-SPIKE",),
        "leak": ("TP-ZERO-LOSS", "TP-ZERO-LOSS-ONSET", "TP-FLOOR-RATIO"),
        "repeated": ("TP-OVERFIT",),
    },
}
"""Tool -> kind of fault -> findings that count as its name. Kinds that are absent have no finding of the tool's."""


def compare(runs: Sequence[dict[str, Any]], commands: Path) -> None:
    """Print the table: per tool, faults flagged and named by kind, and healthy runs flagged."""
    with tempfile.TemporaryDirectory() as folder:
        files = [_written(Path(folder), run) for run in runs]
        answers = {name: _asked(commands, name, files) for name in COMMANDS}
    tools = ["plumbline", *COMMANDS]
    counts: dict[str, Counter[tuple[str, str]]] = {tool: Counter() for tool in tools}
    total: Counter[str] = Counter(label(run) for run in runs)
    for at, run in enumerate(runs):
        reading = judge(curve_of(table_of(run["columns"], run["name"]), run["name"]))
        right = is_right(run, reading)
        counts["plumbline"]["flagged", label(run)] += not reading.is_healthy
        counts["plumbline"]["named", label(run)] += right and run["kind"] != "healthy"
        for tool in COMMANDS:
            found = answers[tool][at]
            counts[tool]["flagged", label(run)] += bool(found)
            counts[tool]["named", label(run)] += bool(found & set(NAMES[tool].get(run["kind"], ())))
    print("| runs | " + " | ".join(tools) + " |\n" + "|---" * (len(tools) + 1) + "|")
    for kind in total:
        cells = [_cell(counts[tool], kind, total[kind]) for tool in tools]
        print(f"| {kind} ({total[kind]}) | " + " | ".join(cells) + " |")
    faults = [kind for kind in total if kind != "healthy"]
    of = sum(total[kind] for kind in faults)
    for what in ("flagged", "named"):
        sums = [sum(counts[tool][what, kind] for kind in faults) for tool in tools]
        print(f"| all faults {what} ({of}) | " + " | ".join(f"{100 * one / of:.0f} %" for one in sums) + " |")


def _cell(counts: Counter[tuple[str, str]], kind: str, of: int) -> str:
    flagged, named = counts["flagged", kind], counts["named", kind]
    return f"{flagged} flagged" if kind == "healthy" else f"{named} named, {flagged} flagged"


def _written(folder: Path, run: dict[str, Any]) -> Path:
    path = folder / f"{run['name']}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(run["columns"])
        for row in zip(*run["columns"].values(), strict=True):
            writer.writerow(["" if value is None else value for value in row])
    return path


def _asked(commands: Path, name: str, files: Sequence[Path]) -> list[set[str]]:
    """The findings of a warning or worse, by their names, for each file."""
    command = [str(commands / "python"), "-c", DRIVER, name, json.dumps(COMMANDS[name]), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [_findings(name, json.loads(line)) for line in done.stdout.splitlines()]


def _findings(name: str, text: str) -> set[str]:
    answer = json.loads(text)
    if name == "runmedic":
        return {one["check"] for run in answer for one in run["findings"] if one["severity"] != "info"}
    if name == "trainspotter":
        return {one["detector"] for one in answer["findings"] if one["severity"] != "info"}
    found = [one for report in answer["reports"] for one in report["findings"]]
    return {one["id"] for one in found if one["level"] in ("WARN", "FAIL")}
