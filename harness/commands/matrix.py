"""``plumbline matrix``: known mistakes switched on one by one, and what catches and names each."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from harness.commands._command import Command, component_of
from harness.core.errors import UsageError
from harness.core.mistake import KnownMistake
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

MOST_DRAWN = 200
"""A mistake that needs as many drawn cases to be seen is one that a usual run may miss."""
TOGETHER = 8
"""Mistakes of one component that a process takes at a time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", nargs="*", help="only the mistakes of these components")
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=None, help="cases drawn per component")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that share the work")
    parser.add_argument("--first", action="store_true", help="stop at the first claim that catches and names a mistake")
    parser.add_argument(
        "--brief", action="store_true", help="print only rows that are missed or not named, and the sum"
    )


def run(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        raise UsageError(f"--jobs takes a number of processes from 1 on, not {options.jobs}")
    started, known = time.perf_counter(), load_catalogue()
    components = [component_of(known, name) for name in options.component] or list(known.contracts)
    rows = []
    for number, row in enumerate(_rows(known, components, options), 1):
        rows.append(row)
        if not options.brief or not row["caught_by"] or not row["named"] or row["drawn"] >= MOST_DRAWN:
            print(_line(number, row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    caught, named = sum(bool(row["caught_by"]) for row in rows), sum(row["named"] for row in rows)
    share = 100 * named / len(rows) if rows else 100.0
    most = max((row["drawn"] for row in rows), default=0)
    print(
        f"{len(rows)} known mistakes of {len(components)} components: {caught} caught, {named} named ({share:.1f} %), "
        f"{len(rows) - caught} missed; caught after at most {most} drawn cases; {time.perf_counter() - started:.0f} s"
    )
    return 0 if caught == len(rows) and share >= 95 and most < MOST_DRAWN else 1


def _rows(known: Catalogue, components: list[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every known mistake, in order, from as many processes as were asked for."""
    work = []
    for component in components:
        names = [mistake.full_name for mistake in known.mistakes.get(component, ())]
        work += [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    how = (options.seed, options.cases, not options.first)
    if options.jobs == 1:
        for names in work:
            yield from _tried(names, *how)
        return
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(_tried, names, *how) for names in work]:
            yield from done.result()


def _tried(names: list[str], seed: int, cases: int | None, every_claim: bool) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    like = _right(seed, cases)
    return [try_bug(known, known.mistake(name), seed, cases, every_claim=every_claim, like=like) for name in names]


@cache
def _right(seed: int, cases: int | None) -> Inspection:
    """The reference beside itself, once per process: its cases, answers and tolerances are every mistake's."""
    known = load_catalogue()
    return Inspection(known, reference_executor(known.contracts), seed, cases)


def _line(number: int, row: dict[str, Any]) -> str:
    finding, claims = row["finding"], row["caught_by"]
    named = "named" if row["named"] else "named as " + " + ".join(finding) if finding else "not named"
    why = f"  ({row['unnamed_because']})" if row["unnamed_because"] and not row["named"] else ""
    shown = ", ".join(claims[:4]) + (f" and {len(claims) - 4} more" if len(claims) > 4 else "")
    caught = "caught" if claims else "MISSED"
    return f"{number:>4} {row['name']:<48} {caught:<7} {named:<12}{why} case {row['drawn']:<3} {row['seconds']:>5.1f} s  {shown}"


def try_bug(
    known: Catalogue,
    mistake: KnownMistake,
    seed: int = 0,
    cases: int | None = None,
    *,
    every_claim: bool = True,
    like: Inspection | None = None,
) -> dict[str, Any]:
    """Switch one known mistake on, alone: which claims of its component catch it, and what the diagnosis says.

    ``named``: the first violated claim that was explained at all was explained by this mistake, or by one declared to
    have the same numbers. ``drawn``: how many cases the claim that caught it first had to see.
    ``every_claim=False`` stops where it is caught and explained. ``like``: an inspection to share the reference's work with.
    """
    started = time.perf_counter()
    inspection = Inspection(known, reference_executor(known.contracts, mistake.edits), seed, cases, like=like)
    contract = known.contracts[mistake.component]
    caught_by, finding, drawn = [], None, 0
    claims = known.claims_of(mistake.component)
    if not every_claim:  # the claim that this mistake is known to break knows best
        claims.sort(key=lambda claim: claim.broken_by != mistake.name)
    for claim in claims:
        verdict, evidence = inspection.bench.judge(contract, claim, shrink=False)
        if verdict.failing:
            drawn = min(drawn or verdict.first, verdict.first)
            caught_by.append(claim.name)
            finding = finding or inspection.explain(mistake.component, evidence)
            if finding and not every_claim:
                break
    names = finding.names if finding else ()
    alike = {mistake.full_name, *mistake.looks_like, *(f"{mistake.component}.{name}" for name in mistake.looks_like)}
    return {
        "name": mistake.full_name,
        "caught_by": caught_by,
        "finding": list(names),
        "drawn": drawn,
        "named": len(names) == 1 and names[0] in alike,
        "unnamed_because": mistake.unnamed_because,
        "seconds": time.perf_counter() - started,
    }


COMMAND = Command("try every known mistake: which claims catch it, is it named", arguments, run)
