"""What training scripts print: nanoGPT, build-nanogpt, llm.c, dictionaries of transformers, and lines like them."""

from __future__ import annotations

import re
from pathlib import Path

from harness.curves.readers._table import CurveUnreadable, Reader, Table, number, text_of

NUMBER = r"(?P<{}>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf|infinity))"
COUNTER = re.compile(
    r"\b(?P<what>global[_ ]step|steps?|iter(?:ation)?s?|it|epochs?|batch)\b['\"]?\s*[:=#]?\s*\[?\s*(?P<n>\d+(?:\.\d+)?)"
    r"(?:\s*(?:/|of)\s*(?P<of>\d+))?",
    re.IGNORECASE,
)
VALUE = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z_/.\- ]*?)['\"]?\s*(?:[:=]\s*|\s+)['\"]?" + NUMBER.format("value") + r"(?![\w.])",
    re.IGNORECASE,
)
BARE = re.compile(r"^\s*(?P<n>\d+)\s+(?P<name>train|val|valid)\s+" + NUMBER.format("value") + r"\s*$", re.IGNORECASE)
"""build-nanogpt writes ``250 val 5.9``."""
RESUMED = re.compile(r"\bresum(?:e|ed|ing)\b|\bload(?:ed|ing) (?:the )?checkpoint\b", re.IGNORECASE)
WANTED = re.compile(r"loss|nll|cross.?entropy|\blr\b|learning.?rate|norm", re.IGNORECASE)
COUNTERS = {"epoch": "epoch", "epochs": "epoch", "batch": "batch"}


def read(path: Path) -> Table:
    """One row per line that holds a loss, a learning rate or a gradient norm; its step is the last that was named."""
    table = Table("training log")
    counted: dict[str, float] = {}
    for line in re.split(r"[\r\n]+", text_of(path)):
        row = _values(line)
        steps = _counters(line, table) if row or "poch" in line else {}
        if not row:
            counted |= steps
            if RESUMED.search(line) and table.rows:
                table.restarts.append(len(table.rows))
            continue
        counted |= steps
        table.rows.append({**counted, **row})
    if not table.rows:
        expected = "lines with a loss were expected, such as `step 10: train loss 3.2, val loss 3.3` or `loss=3.2`"
        raise CurveUnreadable(path, 0, expected)
    return table


def _values(line: str) -> dict[str, float]:
    bare = BARE.match(line)
    if bare:
        return {f"{bare['name'].lower()} loss": float(bare["value"]), "step": float(bare["n"])}
    found: dict[str, float] = {}
    for match in VALUE.finditer(line):
        value = number(match["value"])
        name = " ".join(re.split(r"\s-\s", match["name"].lower())[-1].split())
        if value is not None and WANTED.search(name):
            found.setdefault(name, value)
    return found


def _counters(line: str, table: Table) -> dict[str, float]:
    found: dict[str, float] = {}
    for match in COUNTER.finditer(line):
        name = COUNTERS.get(match["what"].lower(), "step")
        found.setdefault(name, float(match["n"]))
        if match["of"] and name == "step":
            table.planned = float(match["of"])
    return found


def _fits(path: Path, head: bytes) -> bool:
    return not path.is_dir() and b"\0" not in head


READER = Reader("printed output (nanoGPT, llm.c, transformers)", _fits, read, 90)
