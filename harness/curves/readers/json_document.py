"""One JSON document: the trainer_state.json of transformers, a list of objects, or an object of lists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from harness.curves.readers._table import CurveUnreadable, Reader, Table, text_of
from harness.curves.readers.json_lines import flat

HISTORIES = ("log_history", "history", "logs", "records")
"""Names under which a document keeps its list."""
OPENING = re.compile(rb"\s*(\{\s*\"|\[\s*\{)")
"""How a document begins; a dictionary that Python printed, or a line ``[INFO]``, does not."""
SUMMARIES = ("train_runtime", "total_flos")
"""The last entry of a trainer's history has these, and means over the run instead of values of a step."""


def read(path: Path) -> Table:
    """The rows of the document. Raises CurveUnreadable where it is no JSON, or holds no list of values."""
    text = text_of(path)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CurveUnreadable(
            path, text.count("\n") + 1 if text.strip() else 0, f"JSON was expected: {error}"
        ) from None
    return table_of(document, path)


def table_of(document: Any, source: Path | str) -> Table:
    """The rows of a document: a list of objects, an object with such a list, or an object of lists of one length."""
    if isinstance(document, dict) and isinstance(document.get("log_history"), list):
        table = Table("trainer_state.json", _rows(document["log_history"]))
        planned = document.get("max_steps")
        table.planned = float(planned) if isinstance(planned, (int, float)) and planned > 0 else None
        return table
    if isinstance(document, dict):
        for name in HISTORIES:
            if isinstance(document.get(name), (list, dict)):
                return table_of(document[name], source)
        lists = {name: values for name, values in document.items() if _is_list(values)}
        if lists:
            return Table("columns", _transposed(lists))
    if isinstance(document, list) and any(isinstance(one, dict) for one in document):
        return Table("JSON", _rows(document))
    expected = 'a list of objects, "log_history", or lists of numbers by name were expected'
    raise CurveUnreadable(source, 0, expected)


def _rows(history: list[Any]) -> list[dict[str, float]]:
    objects = [one for one in history if isinstance(one, dict) and not any(name in one for name in SUMMARIES)]
    return [row for row in map(flat, objects) if row]


def _is_list(values: Any) -> bool:
    return hasattr(values, "__len__") and hasattr(values, "__getitem__") and not isinstance(values, (str, bytes, dict))


def _transposed(lists: dict[str, Any]) -> list[dict[str, float]]:
    rows = []
    for at in range(max(map(len, lists.values()))):
        there = {str(n): values[at] for n, values in lists.items() if at < len(values) and values[at] is not None}
        rows.append({name: float(value) for name, value in there.items()})
    return rows


def _fits(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".json" or OPENING.match(head) is not None


READER = Reader("trainer_state.json and other JSON documents", _fits, read, 40)
