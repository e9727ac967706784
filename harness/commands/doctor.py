"""``plumbline doctor``: how an implementation is plugged in."""

from __future__ import annotations

import argparse
import os
from typing import Any

from harness.commands._command import Command
from harness.discovery import map_file
from harness.discovery.locate import locate
from harness.discovery.search import map_folder
from harness.judging.loading import inspect_implementation
from harness.modules.adapter import mapping_table
from harness.modules.parameter_map import Row


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("impl")
    parser.add_argument("--anew", action="store_true", help=f"write this implementation's part of {map_file.FILE} anew")


def run(options: argparse.Namespace) -> int:
    inspection = inspect_implementation(options.impl, project=options.project)
    print(f"{options.impl}: {inspection.where}")
    executor: Any = inspection.implementation
    for name, contract in inspection.catalogue.contracts.items():
        offer = inspection.implementation.offers(name)
        if offer is None:
            print(f"\n{name:<18} to do. {contract.meaning}")
            for method, signature in contract.calls.items():
                spelled = {"call": f"def {name}", "build": f"class {name} / __init__"}.get(method, f"    def {method}")
                print(f"    {spelled}{signature}")
            continue
        if offer.to_do:
            print(f"\n{name:<18} to do at {offer.where}:{offer.line}: {offer.to_do}")
            continue
        print(f"\n{name:<18} {offer.kind} at {offer.where}:{offer.line}")
        if name in inspection.variants:
            print(f"    declared variant: {inspection.variants[name]}")
        for note in offer.notes:
            print(f"    note: {note}")
        if offer.absent:
            print(f"    it has no {', '.join(offer.absent)}; cases are judged without")
        if offer.kind == "module":
            for line in _table(mapping_table(executor.adapters[name], contract)):
                print(f"    {line}")
    for note in inspection.notes:
        print(f"\nnote: {note}")
    _keep(options, executor.adapters)
    return 0


def _table(rows: list[Row]) -> list[str]:
    """Parameter by parameter: ours, theirs, shape, layout, how sure it is, and why."""
    if not rows:
        return []
    head = ("ours", "yours", "shape", "layout", "", "")
    cells = [head, *((r.canonical, r.theirs, r.shape, r.layout, r.confidence, r.note) for r in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    return ["  ".join([*(row[i].ljust(widths[i]) for i in range(5)), row[5]]).rstrip() for row in cells]


def _keep(options: argparse.Namespace, adapters: Any) -> None:
    """What was found among module classes goes to a file that a person may correct and commit."""
    place = locate(options.impl)
    try:
        kept = map_file.write(map_folder(place), place.name, adapters, options.anew)
    except OSError as error:
        print(f"\n{map_file.FILE} could not be written: {error}")
        return
    if kept is not None:
        path, written = kept
        shown = os.path.relpath(path)
        told = "written to" if written else "already in"
        print(f"\n{told} {shown}; correct there what is wrong" + ("" if written else " (--anew writes it anew)"))


COMMAND = Command("how an implementation is plugged in: what was found, and which tensor goes where", arguments, run)
