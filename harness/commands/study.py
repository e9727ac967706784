"""``plumbline study``: what people repeat about building language models, as experiments that can fail."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from harness.commands import _layout as layout
from harness.commands._command import Command
from harness.core.errors import UsageError
from harness.core.record import RunRecord
from harness.reports import json_file, lesson_text
from harness.reports.plain import to_plain
from harness.reports.writing import LESSONS_RECORD, write_report
from harness.study.running import EFFORTS
from harness.study.studying import Order, add, begun_record, chosen, lessons, run_all

PAGE = "lessons.html"
DETAILS = """\
Each lesson compares ways to train on the same data with the same initial
weights, over several seeds. A question holds where the whole 95 % interval of
its effect lies beyond the least effect that matters, and does not hold at this
size where the whole interval lies on the other side. Seeds are added until all
questions are decided or the budget of processor seconds is spent.

  --effort quick     40 s a lesson: a first look
  --effort default   120 s a lesson
  --effort full      600 s a lesson

The exit code is 0 where all lessons ran, whatever their verdicts. With --impl
it is 1 if one of your components fails a question that the reference's passes.

examples:
  plumbline study                            every lesson, with the reference
  plumbline study recipe --impl mymodel.py   one lesson, with your components
  plumbline study --html lessons.html        also write the page
  plumbline study --list                     what there is"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline study``."""
    add_argument = parser.add_argument
    add_argument("name", nargs="*", metavar="NAME", help="lessons (default: all)")
    add_argument("--impl", metavar="IMPL", help="your components take part: a module or file, as pytest's --impl")
    add_argument("--effort", choices=list(EFFORTS), default="default", help="budget of a lesson (default: default)")
    add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    add_argument("--jobs", type=int, default=1, metavar="N", help="lessons at the same time (default: 1)")
    add_argument("--html", nargs="?", const=PAGE, metavar="FILE", help=f"also write a page (default: {PAGE})")
    add_argument("--markdown", metavar="FILE", help="also write the verdicts as a Markdown table; - prints them")
    add_argument("--record", default=LESSONS_RECORD, metavar="FILE", help=f"the record (default: {LESSONS_RECORD})")
    add_argument("--json", action="store_true", help="print the results as JSON in place of text")
    add_argument("--list", action="store_true", help="list the lessons and run none")


def run(options: argparse.Namespace) -> int:
    """Run what was asked for, print it, and write the record and the page."""
    if options.list:
        entries = [(lesson.name, lesson.claim) for lesson in map(lessons().__getitem__, chosen(options.name))]
        print("\n".join(layout.named(entries, "")))
        return 0
    if options.jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, not {options.jobs}")
    if options.seed < 0:
        raise UsageError(f"--seed must not be negative, but is {options.seed}")
    names, order = chosen(options.name), Order(options.impl or "", options.effort, options.seed)
    record, show = begun_record(order), _progress()
    try:
        for result in run_all(names, order, options.jobs, show):
            add(record, result)
            show("")
            if not options.json:
                print("\n".join([*lesson_text.lines(result, layout.width()), ""]), flush=True)
            _write(record, options.record)
        record.finished = True
    except KeyboardInterrupt:
        print("\ninterrupted; the results so far:", file=sys.stderr)
    _write(record, options.record)
    _show_all(record, options)
    return int(any(result.against for result in record.lessons) or not record.finished)


def _show_all(record: RunRecord, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"version": 1, "lessons": to_plain(record.lessons)}, indent=1, allow_nan=False))
    else:
        print("\n".join(lesson_text.table(record.lessons)))
        print(f"record: {options.record}")
    if options.markdown == "-":
        print(lesson_text.as_markdown(record.lessons), end="")
    elif options.markdown:
        _written(options.markdown, lambda path: json_file.atomically(lesson_text.as_markdown(record.lessons), path))
    if options.html:
        _written(options.html, lambda path: write_report("lessons", record, path))
        if not options.json:
            print(f"page: {options.html}")


def _write(record: RunRecord, path: str) -> None:
    _written(path, lambda place: json_file.write(record, place))


def _written(path: str, write: Callable[[Path], None]) -> None:
    """Write a file. Raises UsageError where it cannot be written."""
    try:
        write(Path(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from None


def _progress() -> Callable[[str], None]:
    """Shows progress in one line of the terminal, each text over the one before; does nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\x1b[2K{text[:78]}", end="", file=sys.stderr, flush=True)


COMMAND = Command("run the lessons about language models as experiments that can fail", arguments, run, DETAILS)
