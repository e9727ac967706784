"""``plumbline cases``: the telling set of a component: which case tells which known mistake; makes and verifies it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from harness.commands._command import Command, component_of
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.telling import TellingSet, telling_set
from harness.judging.telling_check import changed_cases, lost_power, untold
from harness.judging.telling_choice import choose

DETAILS = """\
A telling set is a small choice of cases on which every known mistake and every
legal form gives other numbers than the reference, and than each other.
specs/cases/COMPONENT.json holds the numbers that regenerate them. A run judges
them first, then fresh random cases; where there is no such file, fresh ones alone.

--regenerate chooses them anew, after the sheet or its known mistakes changed.
--check makes them again and tries every known mistake on them; the exit code is
1 where a case is made otherwise, or does not tell what the file says."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline cases``."""
    parser.add_argument("component", nargs="*", metavar="COMPONENT", help="only these (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--regenerate", action="store_true", help="choose the cases anew and write them down")
    what.add_argument("--check", action="store_true", help="make the cases again, and see that they tell what they did")


def run(options: argparse.Namespace) -> int:
    """Show, check or make the telling sets. Returns 1 where one is not what its file says."""
    import torch

    torch.set_num_threads(1)
    known = load_catalogue()
    names = [component_of(known, name) for name in options.component] or list(known.contracts)
    wrong = 0
    for name in names:
        if options.regenerate:
            chosen = choose(known, name)
            chosen.save()
            print(_summary(known, chosen), flush=True)
        elif options.check:
            chosen = telling_set(name)
            problems = changed_cases(known, chosen) or lost_power(known, chosen)
            if not chosen.cases:
                problems = [f"{name} has no telling set"]
            wrong += len(problems)
            print("\n".join(problems) or f"{name}: {len(chosen.cases)} cases tell what they told", flush=True)
        else:
            print("\n".join(_table(known, telling_set(name))), flush=True)
    if wrong:
        print(f"make them anew: plumbline cases {' '.join(options.component)} --regenerate".replace("  ", " "))
    return int(bool(wrong))


def _summary(known: Catalogue, chosen: TellingSet) -> str:
    own = sum(len(cases) for cases in chosen.claims.values())
    all_of_them, none = len(known.mistakes.get(chosen.component, ())), untold(known, chosen)
    missing = f"; none tells {', '.join(none)}" if none else ""
    told = f"{all_of_them - len(none)} of {all_of_them} known mistakes told"
    return f"{chosen.component}: {len(chosen.cases)} cases, {own} of single claims, {told}{missing}"


def _table(known: Catalogue, chosen: TellingSet) -> Iterator[str]:
    """The cases with their numbers, and for each mistake the numbers of those that tell it."""
    yield _summary(known, chosen)
    for number, case in enumerate(chosen.cases):
        needed = f"; for {', '.join(case.needed_by)}" if case.needed_by else ""
        yield f"{number:>4}  seed {case.seed:<4} {case.looks}{needed}"
    told = chosen.told_by
    width = max(map(len, told), default=0)
    for name, numbers in told.items():
        marks = (f"{number:>3}" if number in numbers else "  ." for number in range(len(chosen.cases)))
        yield f"      {name:<{width}} {''.join(marks)}"
    for claim, cases in chosen.claims.items():
        for case in cases:
            yield f"      {claim}: seed {case.seed} ({case.looks}) tells {', '.join(case.tells) or 'that it holds'}"
    yield ""


COMMAND = Command("the telling set of a component: which case tells which known mistake", arguments, run, DETAILS)
