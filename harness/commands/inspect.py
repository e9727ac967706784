"""``plumbline inspect``: a training script, run unchanged for a few steps and judged."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.commands._command import Command
from harness.core.errors import UsageError
from harness.reports import json_file
from harness.reports.writing import Destinations, UnknownFormat, destinations, write_report
from harness.training import InspectionResult, inspect_script
from harness.training.inspecting import STEPS
from harness.training.telling import lines, traceback_of

RECORD = ".plumbline/inspect.json"
WRONG_USE = 2
DETAILS = """\
The script runs as Python would run it, in this process, until it has made so
many optimiser steps. Nothing of it is changed.

examples:
  plumbline inspect train.py                       the first 8 steps
  plumbline inspect train.py -- --batch_size=4     with arguments of its own
  plumbline inspect -m package.train               as python -m takes it
  plumbline inspect train.py --steps 20            more steps

exit codes: 0 nothing found, 1 something is wrong, 2 wrong usage, or the script
itself broke or took no step."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline inspect``."""
    add = parser.add_argument
    add("script", nargs="?", metavar="SCRIPT", help="the training script")
    add("-m", dest="module", metavar="MODULE", help="a module in its place, as python -m takes it")
    add("--steps", type=int, default=STEPS, metavar="N", help=f"optimiser steps to watch (default: {STEPS})")
    formats = f"also write these report formats, as --impl-report takes them; the record is {RECORD}"
    add("--report", default="", metavar="FORMAT[,FORMAT]", help=formats)
    add("arguments", nargs="*", metavar="ARGUMENT", help="arguments of the script, after --")


def run(options: argparse.Namespace) -> int:
    """Inspect the script, say what was found, write the record. Returns the exit code."""
    try:
        given = [*([options.script] if options.module and options.script else []), *options.arguments]
        if not options.module and not options.script:
            raise UsageError("no script to inspect: plumbline inspect train.py -- its arguments")
        if options.steps < 1:
            raise UsageError(f"--steps must be at least 1, not {options.steps}")
        places = _places(options.report)
        result = inspect_script(options.script or "", given, options.steps, module=options.module or "")
    except UsageError as wrong:
        print(f"plumbline: {wrong}", file=sys.stderr)
        return WRONG_USE
    sys.stdout.flush()
    print("\n".join(["", *lines(result)]))
    if result.crash is not None:
        print(f"\n{traceback_of(result)}", file=sys.stderr)
    _write(result, places)
    if result.failed:
        return 1
    return WRONG_USE if result.crash is not None or not result.steps else 0


def _places(text: str) -> Destinations:
    try:
        found = destinations(text)
    except UnknownFormat as wrong:
        raise UsageError(f"--report: {wrong}") from None
    named = any(piece.strip().endswith(".json") and ":" not in piece for piece in text.split(","))
    return found if named else Destinations(RECORD, found.faces)


def _write(result: InspectionResult, places: Destinations) -> None:
    assert result.record is not None
    try:
        json_file.write(result.record, Path(places.record))
        for name, file in places.faces:
            write_report(name, result.record, Path(file))
            print(f"{name}: {file}")
    except OSError as error:
        print(f"plumbline: the record was not written: {error}", file=sys.stderr)
        return
    print(f"record: {places.record}")


COMMAND = Command("run a training script for a few steps and judge what happens", arguments, run, DETAILS)
