"""``plumbline report``: converts the record of a run to a report format; no check is run."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from harness.commands._command import Command
from harness.core.errors import UsageError, did_you_mean
from harness.core.hint import Hint
from harness.core.record import RunRecord
from harness.project.shards import joined
from harness.reports import json_file
from harness.reports.writing import USUAL_RECORD, formats, write_report


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline report``."""
    record = f"JSON record of a run, or of all its shards (default: {USUAL_RECORD})"
    parser.add_argument("record", nargs="*", metavar="RECORD", default=[USUAL_RECORD], help=record)
    parser.add_argument("--to", default="html", metavar="FORMAT[,FORMAT]", help="report formats (default: html)")
    where = "file to write, or folder for several formats; - prints"
    levels = [level.value for level in Hint]
    parser.add_argument("--hints", choices=levels, help="how much a failure shows (default: as in the run)")
    parser.add_argument("-o", "--output", metavar="PATH", help=where)


def run(options: argparse.Namespace) -> int:
    """Write the report formats that were asked for."""
    names = [name.strip() for name in options.to.split(",") if name.strip()]
    for name in names:
        if name not in formats():
            hint = did_you_mean(name, formats()) or f"there are: {', '.join(formats())}"
            raise UsageError(f"--to: there is no format {name!r}; {hint}")
    record = joined([_read(name) for name in options.record], options.record)
    if options.hints:
        record = replace(record, hints=Hint(options.hints))
    if options.output == "-":
        sys.stdout.write("".join(formats()[name].render(record) for name in names))
        return 0
    for name in names:
        path = _path(options.output, formats()[name].file, len(names))
        try:
            write_report(name, record, path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error}") from None
        print(f"{name}: {path}")
    return 0


def _read(name: str) -> RunRecord:
    try:
        return json_file.read(Path(name))
    except (OSError, ValueError, TypeError, KeyError) as error:
        hint = "" if Path(name).exists() else "; a run of `pytest --impl=mymodel` writes it"
        raise UsageError(f"{name} is not the record of a run: {error}{hint}") from None


def _path(output: str | None, usual: str, count: int) -> Path:
    if output is None:
        return Path(usual)
    path = Path(output)
    return path / usual if path.is_dir() or output.endswith("/") or count > 1 else path


def _details() -> str:
    longest = max(map(len, formats()))
    return "\n".join(["report formats:", *(f"  {name:<{longest}}  {kind.meaning}" for name, kind in formats().items())])


COMMAND = Command("convert the record of a run to HTML, Markdown, JUnit and others", arguments, run, _details())
