"""The command line: ``plumbline COMMAND ...``. The commands are the files of ``harness/commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import harness.commands
from harness.commands._command import Command
from harness.core.errors import UsageError
from harness.core.registry import scan
from harness.project.variants import Project

USAGE_ERROR = 4


def main(arguments: Sequence[str], project: tuple[dict[str, Any], str] = ({}, "")) -> int:
    """Run one subcommand; 0 fine, 1 something is wrong with the implementation, 4 wrong use (as pytest's).

    ``project``: the table ``[tool.plumbline]`` and its file; the commands find them as ``options.project``.
    """
    options = _parser().parse_args(arguments, argparse.Namespace(project=Project(*project)))
    try:
        return int(options.run(options) or 0)
    except UsageError as wrong:
        print(f"plumbline: {wrong}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:
        return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"plumbline: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="plumbline",
        description="Checks a GPT-2 written from scratch, part by part, and says which line is wrong. "
        "The checks themselves run as `pytest --impl=mymodel`.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in scan(harness.commands, "COMMAND", Command).items():
        one = commands.add_parser(name, help=command.help, description=command.help)
        command.arguments(one)
        one.set_defaults(run=command.run)
    return parser
