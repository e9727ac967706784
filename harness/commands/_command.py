"""What every subcommand is, and how they read names."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.core.errors import UsageError
from harness.judging.catalogue import Catalogue


@dataclass(frozen=True)
class Command:
    """One subcommand: its help, its arguments, and ``run(options)``, which returns the exit code or raises UsageError."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], Any]
    run: Callable[[argparse.Namespace], int]


def component_of(known: Catalogue, name: str) -> str:
    """The name, if it is a component's. Raises UsageError with the nearest names otherwise."""
    if name not in known.contracts:
        raise UsageError(f"there is no component {name!r}; {nearest(name, known.contracts)}")
    return name


def nearest(name: str, among: Any) -> str:
    """``did you mean a or b?``, or what there is."""
    near = difflib.get_close_matches(name, list(among), 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(list(among)[:40])}"
