"""``plumbline doctor``: how an implementation was found, and which of its parameters is which."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from harness.commands import _layout as layout
from harness.commands._command import Command
from harness.core.contract import Contract
from harness.core.forms import SEPARATOR
from harness.core.implementation import Offer, OfferKind
from harness.core.notebook import shown_line
from harness.discovery import map_file
from harness.discovery.locate import locate
from harness.discovery.search import map_folder
from harness.execution.executor import Executor
from harness.judging.loading import inspect_implementation
from harness.modules.adapter import mapping_table
from harness.modules.parameter_map import Row

DETAILS = f"""\
Parameters of module classes are matched by name and shape. The match
is printed and written to {map_file.FILE} beside your code. Correct the file
where it is wrong and commit it; later runs read it."""
HEAD = ("parameter", "in your module", "shape", "layout", "match", "why")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline doctor``."""
    parser.add_argument("impl", metavar="IMPL", help="a module or file, as --impl takes it")
    written = f"rewrite this implementation's part of {map_file.FILE}, corrections included"
    parser.add_argument("--refresh", action="store_true", help=written)
    parser.add_argument("--anew", dest="refresh", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Print what was found of each component, and keep the match of parameters in a file."""
    inspection = inspect_implementation(options.impl, project=options.project)
    executor = cast(Executor, inspection.implementation)
    contracts = inspection.catalogue.contracts
    offers = {name: offer for name in contracts if (offer := executor.offers(name)) is not None}
    print(f"{options.impl}: {inspection.where}")
    print(f"{len(offers)} of {len(contracts)} components found")
    print()
    longest = max(map(len, offers), default=0)
    for name, offer in offers.items():
        print(f"{name:<{longest}}  {_found(offer)}")
        for line in _remarks(offer, inspection.variants.get(name, "")):
            print(f"    {line}")
        if offer.kind is OfferKind.MODULE and not offer.to_do:
            for line in parameter_table(mapping_table(executor.adapters[name], contracts[name])):
                print(f"    {line}")
    print("\n".join(_absent([name for name in contracts if name not in offers], contracts)))
    for note in inspection.notes:
        print("\n".join(["", *layout.paragraph(f"note: {note}", "", "    ")]))
    _write_map(options.impl, executor.adapters, options.refresh)
    return 0


def _found(offer: Offer) -> str:
    """What a component was found as, and where."""
    at = shown_line(_shown(offer.where), offer.line) if offer.where else "an unknown place"
    return f"to do at {at}: {offer.to_do}" if offer.to_do else f"{offer.kind} at {at}"


def _shown(path: str) -> str:
    """A path relative to the current folder where it lies below it."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def _remarks(offer: Offer, variant: str) -> list[str]:
    lines = [f"declared: {variant.replace(SEPARATOR, ', ')}"] if variant else []
    for note in offer.notes:
        lines += layout.paragraph(f"note: {note}", "", "    ")
    if offer.absent:
        lines.append(f"has no {', '.join(offer.absent)}: the checks leave this argument out")
    return lines


def _absent(names: Sequence[str], contracts: Mapping[str, Contract]) -> list[str]:
    """The components that were not found, in one paragraph."""
    if not names:
        return []
    first = f"`plumbline explain {names[0]}` shows the signature of one"
    how = f"{first}; `plumbline init` writes a skeleton of all {len(contracts)}."
    listed = layout.paragraph(f"to do ({len(names)}): {', '.join(names)}", "", "    ")
    return ["", *listed, *layout.paragraph(how, "    ")]


def parameter_table(rows: Sequence[Row]) -> list[str]:
    """One line per parameter: both names, shape and layout, and how sure the match is."""
    if not rows:
        return []
    cells = [HEAD, *((r.name, r.parameter, r.shape, r.layout, r.confidence, r.note) for r in rows)]
    kept = [i for i in range(len(HEAD)) if any(row[i] for row in cells[1:])]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
    return ["  ".join(row[i].ljust(widths[i]) for i in kept).rstrip() for row in cells]


def _write_map(impl: str, adapters: Mapping[str, Any], refresh: bool) -> None:
    """Write the match of parameters to a file that a person may correct and commit."""
    place = locate(impl)
    try:
        kept = map_file.write(map_folder(place), place.name, adapters, refresh)
    except OSError as error:
        print(f"\n{map_file.FILE} could not be written: {error}")
        return
    if kept is None:
        return
    path, written = kept
    if written:
        print(f"\nwritten to {os.path.relpath(path)}; correct there what is wrong")
    else:
        print(f"\nread from {os.path.relpath(path)}; correct there what is wrong, or rewrite it with --refresh")


COMMAND = Command("show what was found of an implementation, and where", arguments, run, DETAILS)
