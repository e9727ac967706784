"""``plumbline list``: components, their claims and known mistakes."""

from __future__ import annotations

import argparse

from harness.commands._command import Command, component_of
from harness.judging.catalogue import load_catalogue


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", nargs="*", help="only these components, with their claims")
    parser.add_argument("--bugs", dest="mistakes", action="store_true", help="the known mistakes")


def run(options: argparse.Namespace) -> int:
    known = load_catalogue()
    names = [component_of(known, name) for name in options.component] or list(known.contracts)
    for name in names:
        contract = known.contracts[name]
        mistakes = known.mistakes.get(name, ())
        if options.mistakes:
            for mistake in mistakes:
                print(f"{mistake.full_name:<46}  {mistake.sentence}")
            continue
        print(
            f"{name:<18} {len(known.claims_of(name)):>3} claims {len(mistakes):>4} known mistakes   {contract.meaning}"
        )
        if options.component:
            for claim in known.claims_of(name):
                print(f"    {claim.name:<40} {claim.sentence}")
    if not options.component:
        claims = sum(len(known.claims_of(name)) for name in names)
        print(f"{len(names)} components, {claims} claims, {len(known.all_mistakes())} known mistakes")
    return 0


COMMAND = Command("components, their claims and known mistakes", arguments, run)
