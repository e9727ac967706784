"""``plumbline matrix``: known mistakes switched on one by one, and what catches and names each."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from harness.commands._command import Command, component_of
from harness.core.bug import Bug
from harness.inspection import Catalogue, Inspection, load_catalogue, reference_door


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", nargs="*", help="only the mistakes of these components")
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=None, help="cases drawn per component")
    parser.add_argument(
        "--brief", action="store_true", help="print only rows that are missed or not named, and the sum"
    )


def run(options: argparse.Namespace) -> int:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    components = [component_of(known, name) for name in options.component] or list(known.contracts)
    bugs = [bug for name in components for bug in known.bugs.get(name, ())]
    rows, right = [], Inspection(known, reference_door(known.contracts), options.seed, options.cases)
    for number, bug in enumerate(bugs, 1):
        row = try_bug(known, bug, options.seed, options.cases, like=right)
        rows.append(row)
        named = "named" if row["named"] else "named as " + " + ".join(row["finding"]) if row["finding"] else "not named"
        claims = row["caught_by"]
        shown = ", ".join(claims[:4]) + (f" and {len(claims) - 4} more" if len(claims) > 4 else "")
        if not options.brief or not claims or not row["named"]:
            why = f"  ({bug.unnamed_because})" if bug.unnamed_because and not row["named"] else ""
            print(
                f"{number:>4} {bug.full_name:<48} {'caught' if claims else 'MISSED':<7} {named:<12}{why} {row['seconds']:>6.1f} s  {shown}",
                flush=True,
            )
    caught = sum(bool(row["caught_by"]) for row in rows)
    named_count = sum(row["named"] for row in rows)
    seconds = sum(row["seconds"] for row in rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    share = 100 * named_count / len(rows) if rows else 100.0
    print(
        f"{len(rows)} known mistakes: {caught} caught, {named_count} named ({share:.1f} %), {len(rows) - caught} missed, {seconds:.0f} s"
    )
    return 0 if caught == len(rows) and share >= 95 else 1


def try_bug(
    known: Catalogue,
    bug: Bug,
    seed: int = 0,
    cases: int | None = None,
    *,
    every_claim: bool = True,
    like: Inspection | None = None,
) -> dict[str, Any]:
    """Switch one known mistake on, alone: which claims of its component catch it, and what the diagnosis says.

    ``named``: the first violated claim that was explained at all was explained by this mistake, or by one declared to
    have the same numbers. ``every_claim=False`` stops there. ``like``: an inspection to share the reference's work with.
    """
    started = time.perf_counter()
    inspection = Inspection(known, reference_door(known.contracts, bug.edits), seed, cases, like=like)
    contract = known.contracts[bug.component]
    caught_by, finding = [], None
    for claim in known.claims_of(bug.component):
        verdict, evidence = inspection.bench.judge(contract, claim, shrink=False)
        if verdict.failing:
            caught_by.append(claim.name)
            finding = finding or inspection.explain(bug.component, evidence)
            if finding and not every_claim:
                break
    names = finding.names if finding else ()
    alike = {bug.full_name, *bug.looks_like, *(f"{bug.component}.{name}" for name in bug.looks_like)}
    return {
        "name": bug.full_name, "caught_by": caught_by, "finding": list(names),
        "named": len(names) == 1 and names[0] in alike, "seconds": time.perf_counter() - started,
    }  # fmt: skip


COMMAND = Command(
    "for each known mistake: which claims catch it, whether the diagnosis names it, how long it took", arguments, run
)
