"""``plumbline doctor``: how an implementation is plugged in."""

from __future__ import annotations

import argparse
from typing import Any

from harness.adapters.modules import mapping_table
from harness.commands._command import Command
from harness.inspection import inspect_subject


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("impl")


def run(options: argparse.Namespace) -> int:
    inspection = inspect_subject(options.impl, project=options.project)
    print(f"{options.impl}: {inspection.where}")
    door: Any = inspection.subject
    for name, contract in inspection.catalogue.contracts.items():
        offer = inspection.subject.offers(name)
        if offer is None:
            print(f"\n{name:<18} to do. {contract.meaning}")
            for method, signature in contract.calls.items():
                spelled = {"call": f"def {name}", "build": f"class {name} / __init__"}.get(method, f"    def {method}")
                print(f"    {spelled}{signature}")
            continue
        print(f"\n{name:<18} {offer.kind} at {offer.where}:{offer.line}")
        if name in inspection.variants:
            print(f"    declared variant: {inspection.variants[name]}")
        for note in offer.notes:
            print(f"    note: {note}")
        if offer.absent:
            print(f"    it has no {', '.join(offer.absent)}; cases are judged without")
        if offer.kind == "module":
            rows = mapping_table(door.adapters[name], contract)
            widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))] if rows else []
            for row in rows:
                print(
                    "    " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                )
    for note in inspection.notes:
        print(f"\nnote: {note}")
    return 0


COMMAND = Command("how an implementation is plugged in: what was found, and which tensor goes where", arguments, run)
