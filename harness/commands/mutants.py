"""``plumbline mutants``: small changes of the reference, made mechanically; which of them no check notices."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from harness.commands._command import Command, component_of
from harness.commands._mutant_table import change, markdown, percent, row_of
from harness.core.errors import UsageError
from harness.judging.cases import EFFORTS
from harness.judging.catalogue import load_catalogue
from harness.mutation.sweep import Score, sweep
from harness.mutation.trials import Effort, population

MOST = 8
"""Mutants of each component in the usual run."""
ENOUGH = 99.0
"""Of a hundred mutants that change something, so many are noticed."""
DETAILS = """\
Operators, constants, axes, signs, arguments and statements of the reference are
changed one at a time. Each mutant must be noticed by a check of its component.
specs/mutants/COMPONENT.toml says of single survivors why no call can tell them
from the reference (they do not count), or why no check sees them yet (they do).
The exit code is 0 if 99 % are noticed, every survivor is in these files, and
everything in these files survives.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline mutants``."""
    add = parser.add_argument
    add("component", nargs="*", metavar="COMPONENT", help="only the mutants of these components")
    add("--most", type=int, default=MOST, metavar="N", help=f"mutants of each component; 0: all (default: {MOST})")
    add("--seed", type=int, default=0, help="seed of the generated cases (default: 0)")
    add("--effort", choices=EFFORTS, default="default", help="effort of the checks (default: default)")
    add("--jobs", type=int, default=1, metavar="N", help="processes that share the work (default: 1)")
    add("--brief", action="store_true", help="print only what needs a look, and the total")
    add("--list", action="store_true", help="print the mutants, and judge none")
    add("--write", metavar="FILE", help="judge at the efforts default and quick, and write the scores as Markdown")


def run(options: argparse.Namespace) -> int:
    """Print a row for each component, with its survivors, and the total."""
    if options.jobs < 1 or options.most < 0:
        raise UsageError("--jobs must be at least 1, --most at least 0")
    known = load_catalogue()
    components = [component_of(known, name) for name in options.component] or list(known.contracts)
    if options.list:
        return _listed(components, options.most)
    effort = "default" if options.write else options.effort
    scores = _judged(components, effort, options)
    if options.write:
        Path(options.write).write_text(markdown(scores, [], options.most), encoding="utf-8")
        print(f"{options.write} is written; now at the effort quick", flush=True)
        quick = _judged(components, "quick", options, tell=False)
        Path(options.write).write_text(markdown(scores, quick, options.most), encoding="utf-8")
    return exit_code(scores)


def exit_code(scores: Sequence[Score]) -> int:
    """0 if enough mutants are noticed and what is stored of the others is right."""
    share = percent(sum(score.killed for score in scores), sum(score.judged for score in scores))
    wrong = any(score.gone or score.contradicted for score in scores)
    unknown = any(stored is None for score in scores for _, _, stored in score.survivors)
    return int(wrong or unknown or share < ENOUGH)


def _judged(components: Sequence[str], effort: str, options: argparse.Namespace, tell: bool = True) -> list[Score]:
    started, scores = time.perf_counter(), []
    for score in sweep(components, Effort(options.seed, effort), options.most, options.jobs):
        scores.append(score)
        lines = list(row_of(score))
        if tell and (len(lines) > 1 or not options.brief):
            print("\n".join(lines), flush=True)
    killed, judged = sum(score.killed for score in scores), sum(score.judged for score in scores)
    equivalent = sum(len(score.equivalent) for score in scores)
    crashed = sum(score.crashed for score in scores)
    print(
        f"{judged + equivalent} mutants of {len(scores)} components, effort {effort}: {equivalent} equivalent; "
        f"{killed} of {judged} noticed ({percent(killed, judged):.1f} %), {crashed} of them by a crash; "
        f"{judged - killed} survive; {time.perf_counter() - started:.0f} s"
    )
    return scores


def _listed(components: Sequence[str], most: int) -> int:
    for name in components:
        for mutant in population(load_catalogue(), name, most):
            print("\n".join(change(mutant)))
    return 0


COMMAND = Command("change the reference mechanically: what does no check notice", arguments, run, DETAILS)
