"""``plumbline matrix``: known mistakes are applied to the reference one by one; what catches and names each."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypedDict

from harness.commands._command import Command, component_of
from harness.commands._line_matrix import arguments as add_line_arguments
from harness.commands._line_matrix import run as run_lines
from harness.commands._training_matrix import arguments as add_training_arguments
from harness.commands._training_matrix import run as run_training
from harness.core.errors import UsageError
from harness.core.mistake import KnownMistake
from harness.judging.cases import EFFORTS
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.evidence import EVIDENCE_CASES
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor
from harness.project.forms import edits_of_forms, that_fit
from harness.project.variants import in_one_line

MOST_CASES = 200
"""A mistake that needs this many generated cases to be caught may be missed by a normal run."""
DETAILS = """\
The mutation score of the checks: each known mistake is applied to the reference
and must be caught by a claim of its component and named by the diagnosis. The
exit code is 0 if all are caught and at least 95 % are named.

With --lines, mistakes are planted in files of other styles: those that a folder
has, and those of the catalogue, made there by the same operation. The wrong line
is known. The exit code is 0 if it is among the two that are marked in 90 % of
them (70 % where no tensors are computed), and a change is proven for 75 %.

With --training, the known mistakes of training scripts are planted in small
scripts and inspected, and so are scripts that are right, with several seeds. The
exit code is 0 if 95 % are caught, 85 % are named with a right line, and nothing
is found in the scripts that are right."""


class Row(TypedDict):
    """What came of one known mistake.

    ``drawn``: how many generated cases the claim that caught it first needed. ``toothless``: claims that name it and
    pass all the same.
    """

    name: str
    caught_by: list[str]
    toothless: list[str]
    finding: list[str]
    drawn: int
    named: bool
    unnamed_because: str
    seconds: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline matrix``."""
    add = parser.add_argument
    add("component", nargs="*", metavar="COMPONENT", help="only the mistakes of these components")
    add("--json", metavar="FILE", help="also write the rows as JSON")
    add("--seed", type=int, default=0, help="seed of the generated cases (default: 0)")
    add("--cases", type=int, default=None, metavar="N", help="generated cases per component")
    add("--effort", choices=EFFORTS, default="default", help="how much a run judges (default: default)")
    add("--every", type=int, default=1, metavar="N", help="only every Nth known mistake of a component")
    add("--jobs", type=int, default=1, metavar="N", help="processes that share the work (default: 1)")
    add("--first", action="store_true", help="stop at the first claim that catches and names a mistake")
    add_line_arguments(parser)
    add_training_arguments(parser)
    add("--brief", action="store_true", help="print only mistakes that are missed or not named, and the totals")


def run(options: argparse.Namespace) -> int:
    """Print a row for each known mistake, and the totals."""
    if options.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {options.jobs}")
    if options.lines or options.training:
        return run_lines(options) if options.lines else run_training(options)
    started, known = time.perf_counter(), load_catalogue()
    components = [component_of(known, name) for name in options.component] or list(known.contracts)
    rows = []
    for number, row in enumerate(_rows(known, components, options), 1):
        rows.append(row)
        if not options.brief or _needs_a_look(row):
            print(_line(number, row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    caught, named = sum(bool(row["caught_by"]) for row in rows), sum(row["named"] for row in rows)
    share = 100 * named / len(rows) if rows else 100.0
    most = max((row["drawn"] for row in rows), default=0)
    # With fewer cases than the contracts ask for, a claim need not see the mistake that it names.
    toothless = [] if options.cases else [(row["name"], claim) for row in rows for claim in row["toothless"]]
    for name, claim in toothless:
        print(f"{name.partition('.')[0]}::{claim} names {name} as a mistake that breaks it, and passes with it")
    print(
        f"{len(rows)} known mistakes of {len(components)} components: {caught} caught, {named} named ({share:.1f} %), "
        f"{len(rows) - caught} missed; each caught within {most} cases; {time.perf_counter() - started:.0f} s"
    )
    return 0 if caught == len(rows) and not toothless and share >= 95 and most < MOST_CASES else 1


def _needs_a_look(row: Row) -> bool:
    """Whether a row is a reason to fail, or to look closer."""
    return not row["caught_by"] or not row["named"] or bool(row["toothless"]) or row["drawn"] >= MOST_CASES


def _rows(known: Catalogue, components: list[str], options: argparse.Namespace) -> Iterator[Row]:
    """A row for every known mistake, in order.

    A process takes all mistakes of a component, which share what the reference answers; first the components with the
    most work, so that all processes end at about the same time.
    """
    work = {c: [m.full_name for m in known.mistakes.get(c, ())][:: max(options.every, 1)] for c in components}
    how = (options.seed, options.cases, not options.first, options.effort)
    if options.jobs == 1:
        for names in work.values():
            for name in names:
                yield from _try_all([name], *how)
        return
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        dearest_first = sorted(work, key=lambda component: -_work(known, component))
        done = {component: pool.submit(_try_all, work[component], *how) for component in dearest_first}
        for component in work:
            yield from done[component].result()


def _work(known: Catalogue, component: str) -> int:
    """How much there is to do, roughly: its mistakes, each judged and compared with those of its parts too."""
    reach = {component}
    while more := {part for name in reach for part in known.contracts[name].parts} - reach:
        reach |= more
    return len(known.mistakes.get(component, ())) * len(reach)


def _try_all(names: list[str], seed: int, cases: int | None, every_claim: bool, effort: str = "default") -> list[Row]:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    mistakes = [known.mistake(name) for name in names]
    rights = [right(seed, cases, mistake, effort) for mistake in mistakes]
    return [
        try_mistake(known, mistake, seed, cases, every_claim=every_claim, like=like)
        for mistake, like in zip(mistakes, rights, strict=True)
    ]


def right(seed: int, cases: int | None, mistake: KnownMistake, effort: str = "default") -> Inspection:
    """The reference judged against itself, in the forms that a mistake exists in.

    Made once per process: all mistakes of the same forms share its cases, answers and tolerances.
    """
    return _right(seed, cases, mistake.under, effort)


@cache
def _right(seed: int, cases: int | None, under: tuple[str, ...], effort: str) -> Inspection:
    known = load_catalogue()
    variants = forms_under(known, under)
    edits = edits_of_forms(variants, known.contracts)
    return Inspection(known, reference_executor(known.contracts, edits), seed, cases, variants, effort=effort)


def forms_under(known: Catalogue, under: Sequence[str]) -> dict[str, str]:
    """The forms of every component that a known mistake wants declared."""
    declared = in_one_line(",".join(under), known.contracts, "KnownMistake.under")
    return that_fit(declared.variants, known.contracts, "KnownMistake.under")


def _line(number: int, row: Row) -> str:
    finding, claims = row["finding"], row["caught_by"]
    named = "named" if row["named"] else "named as " + " + ".join(finding) if finding else "not named"
    why = f"  ({row['unnamed_because']})" if row["unnamed_because"] and not row["named"] else ""
    shown = ", ".join(claims[:4]) + (f" and {len(claims) - 4} more" if len(claims) > 4 else "")
    caught = "caught" if claims else "MISSED"
    effort = f"case {row['drawn']:<3} {row['seconds']:>5.1f} s"
    return f"{number:>4} {row['name']:<48} {caught:<7} {named:<12}{why} {effort}  {shown}"


def try_mistake(
    known: Catalogue,
    mistake: KnownMistake,
    seed: int = 0,
    cases: int | None = None,
    *,
    every_claim: bool = True,
    like: Inspection | None = None,
) -> Row:
    """Apply one known mistake to the reference: which claims of its component catch it, and what the diagnosis says.

    ``named``: the first failed claim that was explained at all was explained by this mistake, or by one declared to
    give the same output. ``drawn``: how many cases the quickest claim needed. ``toothless``: claims that name this
    mistake in ``broken_by`` and pass all the same. ``every_claim=False`` stops where the mistake is caught and
    explained and those claims have been judged. ``like``: an inspection to share the reference's work with.
    """
    started = time.perf_counter()
    variants = forms_under(known, mistake.under)
    edits = (*edits_of_forms(variants, known.contracts), *mistake.edits)
    executor = reference_executor(known.contracts, edits)
    effort = like.effort if like is not None else "default"
    inspection = Inspection(known, executor, seed, cases, variants, like=like, effort=effort)
    caught_by, toothless, names, drawn = _judge(inspection, mistake, every_claim)
    alike = {mistake.full_name, *mistake.looks_like, *(f"{mistake.component}.{name}" for name in mistake.looks_like)}
    return {
        "name": mistake.full_name,
        "caught_by": caught_by,
        "finding": list(names),
        "drawn": drawn,
        "named": len(names) == 1 and names[0] in alike,
        "toothless": toothless,
        "unnamed_because": mistake.unnamed_because,
        "seconds": time.perf_counter() - started,
    }


def _judge(
    inspection: Inspection, mistake: KnownMistake, every_claim: bool
) -> tuple[list[str], list[str], tuple[str, ...], int]:
    """The claims that catch the mistake, those that should and do not, the names that the diagnosis gives it, and the
    cases that the quickest claim needed."""
    known = inspection.catalogue
    claims = known.claims_of(mistake.component)
    if not every_claim:  # first the claims that this mistake is known to break
        claims.sort(key=lambda claim: claim.broken_by != mistake.name)
    caught_by, toothless, finding, drawn = [], [], None, 0
    enough = 0 if every_claim else EVIDENCE_CASES
    for claim in claims:
        is_owed = claim.broken_by == mistake.name
        if finding and not every_claim and not is_owed:
            break
        contract = known.contracts[mistake.component]
        verdict, evidence = inspection.bench.judge(contract, claim, shrink=False, enough=enough)
        if verdict.failing:
            drawn = min(drawn or verdict.first, verdict.first)
            caught_by.append(claim.name)
            finding = finding or inspection.explain(mistake.component, evidence)
        elif is_owed:
            toothless.append(claim.name)
    return caught_by, toothless, finding.names if finding else (), drawn


COMMAND = Command("try every known mistake: which claims catch it, is it named", arguments, run, DETAILS)
