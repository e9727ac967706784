"""``plumbline doctor``: how an implementation was found, and which of its parameters is which."""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from harness.commands import _layout as layout
from harness.commands._command import Command
from harness.commands._levels import levels_here
from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.forms import SEPARATOR
from harness.core.implementation import Offer, OfferKind
from harness.core.notebook import shown_line
from harness.discovery import map_file
from harness.discovery.locate import locate
from harness.execution.executor import Executor
from harness.judging.grounds import grounds_of
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation
from harness.judging.structural import structure_of
from harness.modules.adapter import mapping_table
from harness.modules.parameter_map import Row
from harness.reports.grounds_text import given_cases, not_judged

DETAILS = f"""\
Parameters of module classes are matched by name and shape. The match
is printed and written to {map_file.FILE} beside your code. Correct the file
where it is wrong and commit it; later runs read it."""
HEAD = ("parameter", "in your module", "shape", "layout", "match", "why")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline doctor``."""
    parser.add_argument("impl", metavar="IMPL", nargs="?", help="a module or file, as --impl takes it")
    parser.add_argument(
        "--isolation", action="store_true", help="try which levels of --impl-isolation hold on this machine"
    )
    written = f"rewrite this implementation's part of {map_file.FILE}, corrections included"
    parser.add_argument("--refresh", action="store_true", help=written)
    parser.add_argument("--anew", dest="refresh", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Print what was found of each component, and keep the match of parameters in a file; or which levels hold."""
    if options.isolation:
        print("\n".join(levels_here()))
    if options.impl is not None:
        return _explained(options)
    if not options.isolation:
        raise UsageError("plumbline doctor takes a module or file, as --impl does, or --isolation")
    return 0


def _explained(options: argparse.Namespace) -> int:
    """How an implementation was found."""
    inspection = inspect_implementation(options.impl, project=options.project)
    executor = cast(Executor, inspection.implementation)
    contracts = inspection.catalogue.contracts
    offers = {name: offer for name in contracts if (offer := executor.offers(name)) is not None}
    print(f"{options.impl}: {inspection.where}")
    print(_counts(list(offers.values()), len(contracts)))
    print()
    longest = max(map(len, offers), default=0)
    for name, offer in offers.items():
        print("\n".join(layout.paragraph(_found(offer), f"{name:<{longest}}  ", "    ")))
        for line in _remarks(offer, inspection.variants.get(name, "")):
            print(f"    {line}")
        if offer.misfit and (said := str(structure_of(inspection, name))):
            print("\n".join(layout.paragraph(said, "    ", "        ")))
        if not (offer.to_do or offer.misfit):
            print("\n".join(_rests_on(inspection, contracts[name])))
        if offer.kind is OfferKind.MODULE and not offer.to_do:
            rows = mapping_table(executor.adapters[name], contracts[name])
            for line in parameter_table([row for row in rows if row.name not in offer.absent]):  # said above
                print(f"    {line}")
    for line in _not_taken(inspection.where, [adapter.source for adapter in executor.adapters.values()]):
        print(line)
    for line in _absent(len(contracts) - len(offers), contracts):
        print(line)
    for note in inspection.notes:
        print("\n".join(["", *layout.paragraph(f"note: {note}", "", "    ")]))
    _write_map(options.impl, executor.adapters, options.refresh)
    return 0


def _found(offer: Offer) -> str:
    """What a component was found as, and where."""
    at = shown_line(_shown(offer.where), offer.line) if offer.where else "an unknown place"
    if offer.misfit:
        return f"not checked at {at}: {offer.misfit}"
    how = "judged inside a class" if offer.kind is OfferKind.INSIDE else f"judged as a {offer.kind}"
    return f"to do at {at}: {offer.to_do}" if offer.to_do else f"{how} at {at}"


def _shown(path: str) -> str:
    """A path relative to the current folder where it lies below it."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def _remarks(offer: Offer, variant: str) -> list[str]:
    lines = [f"declared: {variant.replace(SEPARATOR, ', ')}"] if variant else []
    for note in offer.notes:
        lines += layout.paragraph(f"note: {note}", "", "    ")
    if offer.plug_in:
        lines += ["to plug it in:", *(f"    {line}" for line in offer.plug_in)]
    if offer.absent:
        lines += layout.paragraph(f"has no {', '.join(offer.absent)}: the checks leave this out", "", "    ")
    return lines


def _counts(offers: Sequence[Offer], components: int) -> str:
    """``2 of 49 components judged, 1 not checked, 3 to do``."""
    misfits, to_do = sum(bool(o.misfit) for o in offers), sum(bool(o.to_do) for o in offers)
    rest = [f"{count} {what}" for count, what in ((misfits, "not checked"), (to_do, "to do")) if count]
    return ", ".join([f"{len(offers) - misfits - to_do} of {components} components judged", *rest])


def _rests_on(inspection: Inspection, contract: Contract) -> list[str]:
    """On how many cases it is judged, and what it is never given: each of its cases is run once for that."""
    inspection.bench.cases_of(contract)
    grounds = grounds_of(inspection, contract.name)
    said = filter(None, (given_cases(grounds), *not_judged(replace(grounds, unreached=()))))
    lines = [line for text in said for line in layout.paragraph(text, "    ", "        ")]
    nothing = "    not checked: none of the generated cases could be given"
    return [nothing, *lines] if grounds.generated and not grounds.given else lines


def _not_taken(file: str, sources: Sequence[object]) -> list[str]:
    """The functions and classes of a file that are taken for no component."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    taken = {getattr(source, "__name__", "") for source in sources}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for node in tree.body if isinstance(node, kinds) and node.name not in taken]
    return ["", *layout.paragraph(f"no component: {', '.join(names)}", "", "    ")] if names else []


def _absent(count: int, contracts: Mapping[str, Contract]) -> list[str]:
    """How to see what is not there."""
    if not count:
        return []
    how = f"`plumbline list` shows them; `plumbline init` writes a skeleton of all {len(contracts)}."
    return ["", *layout.paragraph(f"{count} more components have not been begun: {how}", "", "    ")]


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
        kept = map_file.write(map_file.map_folder(place), place.name, adapters, refresh)
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
