"""What was judged, line by line as it is judged: the record of a process that may die at any moment."""

from __future__ import annotations

import json
from collections.abc import Container, Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.core.note import Note
from harness.core.record import RunRecord, Status

PATIENCE = 2
"""So many checks of one component may run out of time; the rest of them is left out."""
LONGEST = 20_000
"""Characters of a text: an error's message may be of any length."""


class Journal:
    """A pytest plug-in that appends to a file which checks begin and their verdicts. ``done``: checks to skip."""

    def __init__(self, path: str, done: Container[str] = (), without: Container[str] = ()) -> None:
        self.path, self.done, self.without = path, done, without
        self.timed_out: dict[str, int] = {}
        self.record: RunRecord | None = None

    def write(self, **entry: Any) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(_cut(entry), default=str) + "\n")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [i for i in items if i.nodeid not in self.done and i.nodeid.partition("::")[0] not in self.without]

    def _changes(self) -> dict[str, Any]:
        """The change that fixes each component, which is sought after the last check."""
        verdicts = self.record.verdicts if self.record is not None else []
        return {v.component: asdict(v.change) for v in verdicts if v.change is not None}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        self.record = record = session.config.pluginmanager.get_plugin("plumbline-run").run.record
        planned = [item.nodeid for item in session.items]
        self.write(
            planned=planned,
            notes=[note.as_dict() for note in record.notes],
            variants=record.variants,
            missing=record.missing,
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write(start=nodeid)

    def pytest_runtest_setup(self, item: Any) -> None:
        component = item.nodeid.partition("::")[0]
        if self.timed_out.get(component, 0) >= PATIENCE:
            self.write(left_out=item.nodeid)
            raise pytest.skip.Exception("its component runs out of time")

    def pytest_runtest_logreport(self, report: Any) -> None:
        verdict = getattr(report, "plumbline", None)
        if verdict is not None:
            self.write(verdict=verdict, summaries=report.plumbline_summaries)
            if verdict["status"] == Status.TIMED_OUT:
                self.timed_out[verdict["component"]] = self.timed_out.get(verdict["component"], 0) + 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, Any, Any]:
        self.write(judged=True)
        result = yield  # changes are sought here
        self.write(end=int(exitstatus), changes=self._changes())
        return result


@dataclass
class Kept:
    """What a journal holds, as far as its process came.

    ``last``: the check that was begun last. ``open``: whether nothing came of that one.
    """

    planned: list[str] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    summaries: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    variants: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    begun: bool = False
    last: str = ""
    open: bool = False
    end: int | None = None
    is_judged: bool = False
    """Whether every check of this process was over."""
    changes: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Kept:
    """The journal in a file; a last line that was cut off is left out, and what is no entry is passed over."""
    kept = Kept()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return kept
    for line in lines:
        try:
            _take(kept, json.loads(line))
        except (ValueError, TypeError, AttributeError):  # cut off, or written by somebody else
            continue
    return kept


def _take(kept: Kept, entry: dict[str, Any]) -> None:
    if "planned" in entry:
        kept.planned = list(entry["planned"])
        kept.notes = list(map(Note.from_dict, entry.get("notes") or []))
        kept.variants = dict(entry.get("variants") or {})
        kept.begun = True
    elif "start" in entry:
        kept.last, kept.open = str(entry["start"]), True
    elif "left_out" in entry:
        kept.left_out.append(str(entry["left_out"]))
        kept.open = False
    elif isinstance(entry.get("verdict"), dict):
        kept.verdicts.append(entry["verdict"])
        kept.open = False
        kept.summaries.update(entry.get("summaries") or {})
    elif "end" in entry:
        kept.end = int(entry["end"])
        kept.changes = dict(entry.get("changes") or {})
    elif "judged" in entry:
        kept.is_judged = True


def _cut(value: Any) -> Any:
    """The same with texts of a bearable length."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]} ... (cut here)"
    if isinstance(value, dict):
        return {key: _cut(inner) for key, inner in value.items()}
    return [_cut(inner) for inner in value] if isinstance(value, (list, tuple)) else value
