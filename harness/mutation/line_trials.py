"""One planted mistake before the machine: which line it marks, and which change it proves."""

from __future__ import annotations

import ast
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.core.marked_line import Mark, MarkedLine
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.reference import reference_executor
from harness.mutation.planted import Planted, Style, edited, planted_in, styles_in
from harness.mutation.transplants import transplants
from harness.project.variants import in_one_line

AT_ONCE = 8
"""Planted mistakes of one job."""
MOST_PLACES = 3
"""Places of a file where one known mistake is made, one after the other, until a check fails."""


class Marked(str, Enum):
    """Which line was marked."""

    RIGHT = "right"
    SECOND = "second"
    """The second of the two that are marked."""
    WRONG = "WRONG"
    NOTHING = "nothing"
    RAISED = "raises"
    """It raises, or does not end, wherever a check fails: the error shows the line."""
    UNSEEN = "not failing"
    """No check fails: there is nothing to find."""


class Found(str, Enum):
    """Which change was proven."""

    RESTORED = "restored"
    """The text as it was before the mistake."""
    OTHER = "other"
    NONE = "none"


@dataclass(frozen=True)
class LineRow:
    """What came of one planted mistake; seconds are of the processor, for the line and for the change."""

    name: str
    component: str
    marked: Marked
    change: Found
    line: int
    lines: tuple[MarkedLine, ...] = ()
    line_seconds: float = 0.0
    change_seconds: float = 0.0
    right: str = ""
    wrong: str = ""


@lru_cache(maxsize=8)
def _reference(declared: tuple[tuple[str, str], ...], seed: int, cases: int) -> Inspection:
    """The reference in these forms; its cases, answers and tolerances are shared by all files that declare them."""
    known = load_catalogue()
    plain = Inspection(known, reference_executor(known.contracts), seed, cases, dict(declared))
    return Inspection(known, reference_executor(known.contracts, plain.edits), seed, cases, dict(declared))


def inspect_file(file: Path, declared: str, seed: int, cases: int) -> Inspection:
    """The inspection of a file, which shares what the reference answers. Raises UsageError where it has nothing."""
    judged = inspect_implementation(str(file), seed=seed, cases=cases, variants=known_forms(declared))
    like = _reference(tuple(judged.variants.items()), seed, cases) if judged.eps is None else None
    return replace(judged, like=like, findings={})


def known_forms(declared: str) -> str:
    """What the catalogue knows of a declaration."""
    known = []
    for one in filter(None, declared.split(",")):
        with suppress(UsageError):
            in_one_line(one, load_catalogue().contracts)
            known.append(one)
    return ",".join(known)


@dataclass(frozen=True)
class Job:
    """What one process does: mistakes that are planted as they stand, or those of the catalogue in one file.

    ``most``: of the catalogue, spread over all that can be made there (0: all). ``seconds``: of the processor, for one
    localisation. ``only``: a text that a mistake's name has. ``components``: which may be spoiled; all where empty.
    """

    planted: tuple[Planted, ...]
    style: Style | None
    seed: int
    cases: int
    seconds: float
    most: int = 0
    only: str = ""
    components: frozenset[str] = frozenset()
    with_changes: bool = True

    def wants(self, planted: Planted) -> bool:
        """Whether a mistake was asked for."""
        return self.only in planted.name and (not self.components or bool(self.components & set(planted.components)))


def jobs_of(folder: Path, **how: Any) -> list[Job]:
    """All that can be planted in a folder's files: what stands in its ``mistakes.toml``, and a job for each file."""
    own = list(planted_in(folder))
    some = [tuple(own[n : n + AT_ONCE]) for n in range(0, len(own), AT_ONCE)]
    return [*(Job(few, None, **how) for few in some), *(Job((), style, **how) for style in styles_in(folder).values())]


def rows_of(job: Job) -> Iterator[LineRow]:
    """What came of each mistake of a job; of the same mistake at several places of a file, the first that a check
    notices."""
    groups = [[one] for one in job.planted if job.wants(one)]
    if job.style is not None:
        with suppress(UsageError):  # nothing in it is judged
            made = [group for group in transplanted(job.style, job.seed, job.cases) if job.wants(group[0])]
            step = max(len(made) / job.most, 1.0) if job.most else 1.0
            groups += [made[int(n * step)] for n in range(int(len(made) / step))]
    for group in groups:
        rows = (try_planted(one, job.seed, job.cases, job.seconds, job.with_changes) for one in group)
        found = None
        for row in rows:
            found = row
            if row.marked is not Marked.UNSEEN:
                break
        if found is not None:
            yield found


def try_planted(planted: Planted, seed: int, cases: int, seconds: float, with_changes: bool = True) -> LineRow:
    """Judge a file with a mistake in it. ``seconds``: of the processor, for one localisation."""
    blank = LineRow(
        planted.name, "", Marked.UNSEEN, Found.NONE, planted.lines.start, right=planted.right, wrong=planted.wrong
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            inspection = inspect_file(planted.plant(Path(folder)), planted.declared, seed, cases)
            inspection.findings |= dict.fromkeys(planted.components)  # without the catalogue's help
        except UsageError:
            return blank
        inspection.lines.seconds = seconds
        for component in planted.components:
            if component not in inspection.implementation.components:
                continue
            row = _tried(inspection, component, planted, blank)
            if row.marked is not Marked.UNSEEN:
                return _changed(inspection, row, planted) if with_changes and row.lines else row
    return blank


def _tried(inspection: Inspection, component: str, planted: Planted, blank: LineRow) -> LineRow:
    """The first lines that a failed check of a component shows."""
    row, contract = blank, inspection.catalogue.contracts[component]
    for claim in inspection.catalogue.claims_of(component):
        judged, evidence = inspection.bench.judge(contract, claim, shrink=False)
        verdict = inspection.held(claim, judged)
        if not verdict.failing:
            continue
        if verdict.status is not Status.FAILED:
            row = replace(row, component=component, marked=Marked.RAISED) if row.marked is Marked.UNSEEN else row
            continue
        started = time.thread_time()
        lines = inspection.lines.of(claim, verdict, evidence)
        spent = row.line_seconds + time.thread_time() - started
        row = replace(row, component=component, marked=_marked(lines, planted), lines=lines, line_seconds=spent)
        if lines:
            break
    return row


def _marked(lines: tuple[MarkedLine, ...], planted: Planted) -> Marked:
    hits = [_is_hit(line, planted) for line in lines]
    if not hits:
        return Marked.NOTHING
    return Marked.RIGHT if hits[0] else Marked.SECOND if any(hits) else Marked.WRONG


def _is_hit(line: MarkedLine, planted: Planted) -> bool:
    covered = set(range(line.line, line.end_line + 1))
    return bool(covered & set(planted.lines)) or (line.mark is Mark.MISSING and bool(covered & set(planted.after)))


def _changed(inspection: Inspection, row: LineRow, planted: Planted) -> LineRow:
    started = time.thread_time()
    proven = inspection.changes.of(row.component)
    spent = time.thread_time() - started
    if proven is None:
        return replace(row, change_seconds=spent)
    is_restored = proven.changes[0].after == planted.file.read_text(encoding="utf-8")
    return replace(row, change=Found.RESTORED if is_restored else Found.OTHER, change_seconds=spent)


def transplanted(style: Style, seed: int, cases: int) -> Iterator[list[Planted]]:
    """The catalogue's mistakes that can be made in a file: for each, the first few places where it can be."""
    if style.file.suffix != ".py" or not style.file.is_file():
        return
    text, known = style.file.read_text(encoding="utf-8"), set[str]()
    if not text.isascii():
        return
    inspection = inspect_file(style.file, style.declared, seed, cases)
    for component in style.passes:
        span = _span(inspection, component, style.file, text)
        for mistake in inspection.catalogue.mistakes.get(component, ()) if span else ():
            assert span is not None
            found = []
            for place in transplants(mistake.edits[0], text, *span) if len(mistake.edits) == 1 else ():
                whole, lines = edited(style.file, place.start, place.right, place.wrong)
                if whole in known:  # another mistake of the catalogue is the same here
                    continue
                known.add(whole)
                name = f"{mistake.full_name} in {style.file.stem}"
                after = _computed(place.wrong, text, span[0], lines.start)
                edit = (whole, lines, place.right, place.wrong)
                found.append(Planted(name, style.file, *edit, (component,), style.declared, after))
                if len(found) == MOST_PLACES:
                    break
            if found:
                yield found


def _computed(name: str, text: str, first: int, line: int) -> tuple[int, ...]:
    """The lines of the last assignment of a name between two lines; none where it is no name."""
    if not name.isidentifier():
        return ()
    found = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign) and first <= node.lineno < line
        if any(isinstance(one, ast.Name) and one.id == name for target in node.targets for one in ast.walk(target))
    ]
    last = max(found, key=min, default=None)
    return tuple(last) if last is not None else ()


def _span(inspection: Inspection, component: str, file: Path, text: str) -> tuple[int, int] | None:
    """The lines of the function or class that is a component; None where it stands in another file."""
    offer = inspection.implementation.offers(component)
    if offer is None or not offer.where or Path(offer.where).name != file.name:
        return None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.lineno == offer.line:
            return node.lineno, node.end_lineno or node.lineno
    return None
