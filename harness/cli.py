"""The command line: ``plumbline list | explain | doctor | replay | matrix``."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.adapters.discover import WrongUse
from harness.adapters.modules import mapping_table
from harness.core.bug import Bug
from harness.core.verdict import CRASHED, FAILING, HOLDS, MISSING
from harness.inspection import Catalogue, Inspection, inspect_subject, load_case, load_catalogue, reference_door

USAGE_ERROR = 4


def main(arguments: Sequence[str]) -> int:
    """Run one subcommand; 0 fine, 1 something is wrong with the subject, 4 wrong use (as pytest's)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except WrongUse as wrong:
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

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    listing = add("list", _list, "components, their claims and known mistakes")
    listing.add_argument("component", nargs="*", help="only these components, with their claims")
    listing.add_argument("--bugs", action="store_true", help="the known mistakes")
    explain = add(
        "explain",
        _explain,
        "a component (layer_norm), a claim (layer_norm::deterministic) or a known mistake (layer_norm.unbiased_variance)",
    )
    explain.add_argument("name")
    doctor = add("doctor", _doctor, "how an implementation is plugged in: what was found, and which tensor goes where")
    doctor.add_argument("impl")
    replay = add("replay", _replay, "judge a kept failure again: FIXED, or what is still wrong")
    replay.add_argument("case", nargs="?", help="the id a failure printed, or a file; all kept failures without it")
    replay.add_argument("--impl", help="another implementation than the one that failed")
    matrix = add(
        "matrix",
        _matrix,
        "for each known mistake: which claims catch it, whether the diagnosis names it, how long it took",
    )
    matrix.add_argument("component", nargs="*", help="only the mistakes of these components")
    matrix.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    matrix.add_argument("--seed", type=int, default=0)
    matrix.add_argument("--cases", type=int, default=None, help="cases drawn per component")
    matrix.add_argument(
        "--brief", action="store_true", help="print only rows that are missed or not named, and the sum"
    )
    return parser


# list and explain ----------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    known = load_catalogue()
    names = [_component(known, name) for name in options.component] or list(known.contracts)
    for name in names:
        contract = known.contracts[name]
        bugs = known.bugs.get(name, ())
        if options.bugs:
            for bug in bugs:
                print(f"{bug.full_name:<46}  {bug.sentence}")
            continue
        print(f"{name:<18} {len(known.claims_of(name)):>3} claims {len(bugs):>4} known mistakes   {contract.meaning}")
        if options.component:
            for claim in known.claims_of(name):
                print(f"    {claim.name:<40} {claim.sentence}")
    if not options.component:
        claims = sum(len(known.claims_of(name)) for name in names)
        print(f"{len(names)} components, {claims} claims, {len(known.all_bugs())} known mistakes")
    return 0


def _explain(options: argparse.Namespace) -> int:
    known, name = load_catalogue(), options.name
    if "::" in name:
        component, _, claim_name = name.partition("::")
        print(_explain_claim(known, _component(known, component), claim_name))
    elif name in known.contracts:
        print(_explain_component(known, name))
    elif "." in name:
        print(_explain_bug(known, name))
    elif any(name == c.name for n in known.contracts for c in known.claims_of(n)):
        component = next(n for n in known.contracts if any(name == c.name for c in known.claims_of(n)))
        print(_explain_claim(known, component, name))
    else:
        _component(known, name)
    return 0


def _explain_component(known: Catalogue, name: str) -> str:
    contract = known.contracts[name]
    lines = [f"{name}: {contract.meaning}", ""]
    for method, signature in contract.calls.items():
        lines.append(f"    {name if method in ('call', 'build') else '  .' + method}{signature}")
    if contract.parts:
        lines += ["", f"made of: {', '.join(contract.parts)}"]
    for variant in contract.variants:
        lines += [
            "",
            f"legal variant {variant.name}: {variant.sentence}",
            f"    declare it: --impl-variant={name}={variant.name}",
        ]
    lines += ["", "claims:"]
    lines += [f"    {claim.name:<40} {claim.sentence}" for claim in known.claims_of(name)]
    lines += ["", "known mistakes:"]
    lines += [f"    {bug.name:<40} {bug.sentence}" for bug in known.bugs.get(name, ())]
    lines += ["", *(f"source: {source}" for source in contract.sources)]
    return "\n".join(lines)


def _explain_claim(known: Catalogue, component: str, claim_name: str) -> str:
    claims = {claim.name: claim for claim in known.claims_of(component)}
    if claim_name not in claims:
        raise WrongUse(f"{component} has no claim {claim_name!r}; {_nearest(claim_name, claims)}")
    claim = claims[claim_name]
    import inspect

    why = inspect.getdoc(claim.test) or inspect.getdoc(inspect.getmodule(claim.test)) or ""
    lines = [f"{component}::{claim.name}: {claim.sentence}.", ""]
    lines += textwrap.wrap(why, 108)
    if claim.false_alarm:
        power = f"; power at least {claim.power}" if claim.power else ""
        lines += ["", f"random: rejects correct code with probability at most {claim.false_alarm:.1g}{power}"]
    if claim.broken_by:
        lines += ["", f"broken by: {component}.{claim.broken_by}"]
    lines += ["", f'run it alone: pytest --impl=mymodel "{component}::{claim.name}"']
    return "\n".join(lines)


def _explain_bug(known: Catalogue, name: str) -> str:
    try:
        bug = known.bug(name)
    except KeyError as error:
        raise WrongUse(str(error.args[0])) from None
    lines = [f"{bug.full_name}", "", *textwrap.wrap(bug.sentence, 108), "", textwrap.indent(bug.diff(), "    "), ""]
    if bug.seen_in:
        lines.append(f"seen in: {', '.join(bug.seen_in)}")
    if bug.looks_like:
        lines.append(f"same numbers as: {', '.join(bug.looks_like)}")
    if bug.unnamed_because:
        lines.append(f"the diagnosis cannot name it: {bug.unnamed_because}")
    lines.append(f"see it caught: pytest --impl=bug:{bug.full_name}")
    return "\n".join(lines)


# doctor --------------------------------------------------------------------------------------------------------------


def _doctor(options: argparse.Namespace) -> int:
    inspection = inspect_subject(options.impl)
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


# replay --------------------------------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace) -> int:
    folder = Path(".plumbline") / "failures"
    if options.case is None:
        paths = sorted(folder.glob("*.json"))
        if not paths:
            print(f"no kept failures in {folder}")
            return 0
    else:
        given = Path(options.case)
        paths = [given] if given.suffix == ".json" else sorted(folder.glob(f"{options.case}*.json"))
        if not paths:
            kept = ", ".join(path.stem for path in sorted(folder.glob("*.json"))) or "none"
            raise WrongUse(f"no kept failure {options.case!r} in {folder.resolve()}; there are: {kept}")
    still = 0
    for path in paths:
        still += _replay_one(path, options.impl)
    return 1 if still else 0


def _replay_one(path: Path, impl: str | None) -> int:
    body, case = load_case(path)
    inspection = inspect_subject(impl or body["impl"], seed=body["seed"], variants=body["variants"])
    component = _component(inspection.catalogue, body["component"])
    claims = {c.name: c for c in inspection.catalogue.claims_of(component)}
    if body["claim"] not in claims:
        raise WrongUse(f"{path} is about the claim {body['claim']!r}, which {component} no longer has")
    verdict = inspection.judge_case(component, claims[body["claim"]], case)
    title = f"{path.stem}  {component}::{verdict.claim}"
    if verdict.status == HOLDS:
        print(f"FIXED   {title}")
        return 0
    if verdict.status not in FAILING:
        print(f"{verdict.status.upper():<7} {title}  {verdict.message}")
        return int(verdict.status == MISSING)
    print(f"{'ERROR' if verdict.status == CRASHED else 'FAILED':<7} {title}")
    print(f"        {verdict.message}" + (f"  ({verdict.worst})" if verdict.worst else ""))
    print(f"        {verdict.smallest}")
    for name in verdict.finding:
        print(
            textwrap.indent(
                _explain_bug(inspection.catalogue, name)
                if name in {b.full_name for b in inspection.catalogue.all_bugs()}
                else name,
                "        ",
            )
        )
    for frame in verdict.frames:
        print(textwrap.indent(frame, "        "))
    return 1


# matrix --------------------------------------------------------------------------------------------------------------


def _matrix(options: argparse.Namespace) -> int:
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    components = [_component(known, name) for name in options.component] or list(known.contracts)
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


def _component(known: Catalogue, name: str) -> str:
    if name not in known.contracts:
        raise WrongUse(f"there is no component {name!r}; {_nearest(name, known.contracts)}")
    return name


def _nearest(name: str, among: Any) -> str:
    near = difflib.get_close_matches(name, list(among), 3, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(list(among)[:40])}"
