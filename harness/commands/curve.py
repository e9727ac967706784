"""``plumbline curve``: what a loss curve shows, with onset and evidence."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from harness.commands._command import Command
from harness.core.curve import CurveReading, Level
from harness.core.errors import UsageError
from harness.curves.api import read_curve
from harness.curves.following import Clock, follow
from harness.curves.page import page
from harness.curves.readers import readers
from harness.curves.readers._table import CurveUnreadable
from harness.curves.record import record_of
from harness.curves.text import one_curve, several
from harness.reports import json_file
from harness.reports.curve_words import summary, title

HEALTHY, FINDING, UNREADABLE = 0, 1, 2
WIDEST = 110


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline curve``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="logs, or folders of runs")
    for role, meaning in (("train", "the training loss"), ("valid", "the validation loss"), ("step", "the steps")):
        parser.add_argument(f"--{role}", metavar="COLUMN", help=f"column of {meaning} (default: guessed by its name)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the drawing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record, as `plumbline report` reads it")
    watch = "judge a log that grows until it stops; exit at the first error"
    parser.add_argument("--follow", action="store_true", help=watch)
    parser.add_argument(
        "--idle", type=float, default=300, metavar="SECONDS", help="a log that stands still so long has ended (300)"
    )
    parser.add_argument("--interval", type=float, default=2, metavar="SECONDS", help="between two looks (2)")
    stops = "what ends --follow: error (default) or warning"
    parser.add_argument("--stop-at", choices=["error", "warning"], default="error", help=stops)


def run(options: argparse.Namespace) -> int:
    """Judge the curves. Returns 0 where all are healthy, 1 for a finding, 2 where a log cannot be read."""
    started = time.time()
    try:
        readings = [_followed(options)] if options.follow else [_read(options, name) for name in options.files]
    except CurveUnreadable as wrong:
        print(f"plumbline curve: {wrong}", file=sys.stderr)
        return UNREADABLE
    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    print(one_curve(readings[0], width) if len(readings) == 1 else several(readings, width))
    _write(options, readings, time.time() - started)
    return HEALTHY if all(one.is_healthy for one in readings) else FINDING


def _read(options: argparse.Namespace, name: str, growing: bool = False) -> CurveReading:
    return read_curve(name, {"train": options.train, "valid": options.valid, "step": options.step}, growing)


def _followed(options: argparse.Namespace) -> CurveReading:
    """The last look at a growing log; what is new is printed as it comes."""
    if len(options.files) > 1:
        raise UsageError("--follow watches one log; give one FILE")
    name = options.files[0]
    clock = Clock(options.idle, options.interval)
    reading = None
    for look in follow(lambda growing: _read(options, name, growing), clock, Level(options.stop_at)):
        reading = look.reading
        for one in look.new:
            print(f"{one.level}: {title(one, reading.unit)}: {one.evidence}", flush=True)
    if reading is None:
        raise CurveUnreadable(name, 0, f"a log was expected within {options.idle:g} s")
    print(f"{'ended' if look.is_final else 'stopped'}: {summary(reading)}\n", flush=True)
    return reading


def _write(options: argparse.Namespace, readings: list[CurveReading], seconds: float) -> None:
    try:
        if options.json:
            json_file.write(record_of(readings, seconds), options.json)
            print(f"json: {options.json}")
        if options.html:
            json_file.atomically(page(readings), options.html)
            print(f"html: {options.html}")
    except OSError as error:
        raise UsageError(f"{error.filename or 'the file'} cannot be written: {error}") from None


def _details() -> str:
    formats = "\n".join(f"  {reader.title}" for reader in readers().values())
    return f"""formats:
{formats}

exit codes: 0 healthy, 1 a finding, 2 a log that cannot be read (the message names file, line and what was expected).
Limits come from healthy runs (docs/CURVES.md). Several files are compared, one row each."""


COMMAND = Command("say what a loss curve shows: divergence, overfitting, a leak ...", arguments, run, _details())
