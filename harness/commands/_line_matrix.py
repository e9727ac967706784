"""``plumbline matrix --lines``: mistakes are planted in files, and the line that is marked is held to the wrong one."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from harness.commands._command import component_of
from harness.core.errors import UsageError
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.localisation.locate import SECONDS
from harness.mutation.line_trials import Found, Job, LineRow, Marked, jobs_of, rows_of
from harness.mutation.planted import EXPECTED, MISTAKES

FOLDERS = ("tests/styles", "tests/lines")
"""Where a checkout has files and mistakes to plant in them."""
CASES, MOST = 8, 8
"""Generated cases of each component, and mistakes of the catalogue in each file, in the usual run."""
ENOUGH = {"tensor": 90.0, "text": 70.0}
"""Of a hundred mistakes, in so many the wrong line is among the two that are marked."""
ENOUGH_CHANGES = 75.0
"""Of a hundred mistakes, for so many a change is proven."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``--lines``."""
    add = parser.add_argument_group("which line is marked").add_argument
    add("--lines", action="store_true", help="plant mistakes in files, and see which line is marked and changed")
    add("--styles", action="append", metavar="FOLDER", help=f"with --lines: the files (default: {', '.join(FOLDERS)})")
    most = f"with --lines: mistakes of the catalogue made in each file; 0: all that can be (default: {MOST})"
    add("--most", type=int, default=MOST, metavar="N", help=most)
    add("--only", metavar="TEXT", help="with --lines or --training: only mistakes whose name contains this")
    add("--no-changes", action="store_true", help="with --lines: seek no changes, which takes most of the time")


def run(options: argparse.Namespace) -> int:
    """Print a row for each planted mistake, and the totals. Returns 1 where the shares are below what is promised."""
    known, components = load_catalogue(), options.component
    how = {
        "seed": options.seed,
        "cases": options.cases or CASES,
        "seconds": SECONDS,
        "most": options.most,
        "only": options.only or "",
        "components": frozenset(component_of(known, name) for name in components),
        "with_changes": not options.no_changes,
    }
    jobs = [job for folder in _folders(options.styles) for job in jobs_of(folder, **how)]
    rows = []
    for row in _rows(jobs, options.jobs):
        rows.append(row)
        if not options.brief or row.marked in (Marked.WRONG, Marked.NOTHING):
            print(_line(row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps([_plain(row) for row in rows], indent=1), encoding="utf-8")
    return _summed(known, rows, not options.no_changes)


def _folders(given: Sequence[str] | None) -> list[Path]:
    """The folders of files. Raises UsageError where one has no mistakes."""
    found = [Path(name) for name in given or FOLDERS]
    for folder in found:
        if not (folder / MISTAKES).is_file() and not (folder / EXPECTED).is_file():
            where = "" if given else "; run it in a checkout of Plumbline, or name a folder: --styles=FOLDER"
            raise UsageError(f"--lines: {folder} has neither {MISTAKES} nor {EXPECTED}{where}")
    return found


def _rows(work: Sequence[Job], processes: int) -> Iterator[LineRow]:
    if processes == 1:
        _prepare()
        for job in work:
            yield from rows_of(job)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _prepare) as pool:
        for rows in pool.map(_all_rows, work):
            yield from rows


def _all_rows(job: Job) -> list[LineRow]:
    return list(rows_of(job))


def _prepare() -> None:
    """Files that are scripts read the command line, and warn of what is not ours to change."""
    import torch

    torch.set_num_threads(1)
    sys.argv = ["pytest"]
    warnings.simplefilter("ignore")


def _line(row: LineRow) -> str:
    shown = "; ".join(f"{line.line} {line.mark} `{line.computes}`" for line in row.lines)
    spent = f"{row.line_seconds:5.2f} s {row.change_seconds:6.2f} s"
    text = f"{row.marked.value:<12}{row.change.value:<9}{spent}  {row.name}, line {row.line}: {shown or '-'}"
    is_told = row.marked in (Marked.WRONG, Marked.NOTHING) or (row.lines and row.change is Found.NONE)
    return f"{text}\n{'':12}{row.right[:80]!r} -> {row.wrong[:80]!r}" if is_told else text


def _plain(row: LineRow) -> dict[str, object]:
    lines = [{**asdict(line), "mark": line.mark.value} for line in row.lines]
    return {**asdict(row), "marked": row.marked.value, "change": row.change.value, "lines": lines}


def _summed(known: Catalogue, rows: Sequence[LineRow], with_changes: bool) -> int:
    """Print the totals: of tensor components, of the others (text), and, on the last line, of all."""
    seen = [row for row in rows if row.marked not in (Marked.UNSEEN, Marked.RAISED)]
    kinds = {
        "tensor": [r for r in seen if has_tensors(known, r.component)],
        "text": [r for r in seen if not has_tensors(known, r.component)],
    }
    enough = True
    for kind, some in kinds.items():
        if some:
            print(f"{kind} components: {_counts(some, with_changes)}")
            enough = enough and _share(some) >= ENOUGH[kind]
    others = Counter(row.marked for row in rows)
    told = f"{others[Marked.RAISED]} more raise an error, {others[Marked.UNSEEN]} fail no check"
    print(f"{_counts(seen, with_changes)}; {told}")
    changed = sum(row.change is not Found.NONE for row in seen)
    return int(not enough or (with_changes and 100 * changed < ENOUGH_CHANGES * len(seen)))


def _counts(rows: Sequence[LineRow], with_changes: bool) -> str:
    marked = Counter(row.marked for row in rows)
    good = marked[Marked.RIGHT] + marked[Marked.SECOND]
    lines = [row.line_seconds for row in rows]
    told = (
        f"{len(rows)} mistakes: {good} lines right ({_share(rows):.0f} %; {marked[Marked.SECOND]} second of two), "
        f"{marked[Marked.WRONG]} wrong, {marked[Marked.NOTHING]} not found; {_seconds(lines)}"
    )
    if not with_changes:
        return told
    changes = Counter(row.change for row in rows)
    proven = changes[Found.RESTORED] + changes[Found.OTHER]
    both = [row.line_seconds + row.change_seconds for row in rows]
    share = f"{100 * proven / max(len(rows), 1):.0f} %; {changes[Found.RESTORED]} of them the text as it was"
    return f"{told}; {proven} changes proven ({share}); line and change: {_seconds(both)}"


def _share(rows: Sequence[LineRow]) -> float:
    good = sum(row.marked in (Marked.RIGHT, Marked.SECOND) for row in rows)
    return 100 * good / max(len(rows), 1)


def _seconds(values: Sequence[float]) -> str:
    return f"median {statistics.median(values or [0.0]):.2f} s, most {max(values, default=0.0):.1f} s of the processor"


def has_tensors(known: Catalogue, component: str) -> bool:
    """Whether a component computes with tensors of floating-point numbers."""
    calls = known.contracts[component].calls.values()
    return any("float[" in call.result or any("float[" in a.kind for a in call.arguments) for call in calls)
