"""The command line: ``plumbline COMMAND ...``. The commands are the files of ``harness/commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import harness.commands
from harness.commands._command import Command
from harness.core.errors import UsageError
from harness.core.registry import scan
from harness.project.variants import Project

USAGE_ERROR = 4
DESCRIPTION = """\
Checks a language model written from scratch, component by component, against
a reference, and names the line that is wrong. The checks run in pytest:
`pytest --impl=mymodel`. The commands below do the rest."""
EPILOG = """\
`plumbline COMMAND --help` shows the options of a command.
Exit codes: 0 passed, 1 failed, 4 wrong usage.

first steps:
  plumbline init                 write mymodel.py, a skeleton to fill in
  pytest --impl=mymodel          check it
  plumbline explain layer_norm   what is checked about one component"""


def main(arguments: Sequence[str], project: tuple[Mapping[str, object], str] = ({}, "")) -> int:
    """Run one subcommand. Returns 0 if all is well, 1 if something is wrong with the implementation, 4 for wrong usage.

    ``project``: the table ``[tool.plumbline]`` and its file; the commands find them as ``options.project``.
    """
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(project=Project(*project)))
        return int(options.run(options) or 0)
    except UsageError as wrong:
        print(f"plumbline: {wrong}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:
        return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"plumbline: {message}\n")


def _parser() -> argparse.ArgumentParser:
    as_it_stands = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="plumbline", description=DESCRIPTION, epilog=EPILOG, formatter_class=as_it_stands)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, command in scan(harness.commands, "COMMAND", Command).items():
        description = f"{command.help[0].upper()}{command.help[1:]}."
        one = commands.add_parser(
            name, help=command.help, description=description, epilog=command.details, formatter_class=as_it_stands
        )
        command.arguments(one)
        one.set_defaults(run=command.run)
    return parser
