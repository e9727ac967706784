"""``plumbline report``: the record of a run as HTML, Markdown, Gradescope's results, ...; nothing is judged again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.commands._command import Command
from harness.core.errors import UsageError, did_you_mean
from harness.core.record import RunRecord
from harness.project.shards import joined
from harness.reports import json_file
from harness.reports.writing import USUAL_RECORD, formats, write_report


def arguments(parser: argparse.ArgumentParser) -> None:
    kinds = "; ".join(f"{name}: {kind.meaning}" for name, kind in formats().items())
    parser.add_argument(
        "record",
        nargs="*",
        default=[USUAL_RECORD],
        help=f"a run's JSON record ({USUAL_RECORD} without it), or those of all its shards",
    )
    parser.add_argument(
        "--to", default="html", metavar="FORMAT[,FORMAT]", help=f"what to write (html without it). {kinds}"
    )
    parser.add_argument("-o", "--output", metavar="PATH", help="the file, or a folder for several; - prints")


def run(options: argparse.Namespace) -> int:
    names = [name.strip() for name in options.to.split(",") if name.strip()]
    for name in names:
        if name not in formats():
            hint = did_you_mean(name, formats()) or f"there are: {', '.join(formats())}"
            raise UsageError(f"--to: there is no format {name!r}; {hint}")
    record = joined([_read(name) for name in options.record], options.record)
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
        raise UsageError(f"{name} is no record of a run: {error}{hint}") from None


def _path(output: str | None, usual: str, count: int) -> Path:
    if output is None:
        return Path(usual)
    path = Path(output)
    return path / usual if path.is_dir() or output.endswith("/") or count > 1 else path


COMMAND = Command("convert the record of a run to HTML, Markdown, JUnit, ...", arguments, run)
