"""``plumbline grade``: grades a folder of submissions, each judged in a process of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.commands._command import Command
from harness.core.errors import UsageError
from harness.grading.checks import ROOT, Checks
from harness.grading.example import example
from harness.grading.judging import Judged, Task
from harness.grading.rubric import Rubric, read
from harness.grading.session import Session, here
from harness.grading.slurm import CLUSTERS, on_cluster
from harness.grading.submissions import Submission, find, submission
from harness.isolation import processes
from harness.isolation.level import Level
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.places_of_code import problem_with

OUT = "grades"
PRELOADED = ("harness.", "specs", "reference_model")
INTERRUPTED = 130
DETAILS = """\
examples:
  plumbline grade --example-rubric > rubric.toml
  plumbline grade submissions/ --rubric rubric.toml --jobs 4
Each submission runs in a process of its own under the limits of the rubric. An
interrupted run goes on where it stopped. docs/GRADING.md has the details."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline grade``."""
    add = parser.add_argument
    add("submissions", nargs="?", metavar="FOLDER", help="holds one file or folder per submission")
    add("--rubric", metavar="FILE", help="points and limits (TOML)")
    add("--example-rubric", action="store_true", help="print an example rubric with every key explained")
    add("--jobs", type=int, default=1, metavar="N", help="submissions judged at a time (default: 1)")
    add("--out", default=OUT, metavar="FOLDER", help=f"where grades and feedback are written (default: {OUT})")
    add("--force", action="store_true", help="judge all, also what was judged before with this rubric and seed")
    add("--again", dest="force", action="store_true", help=argparse.SUPPRESS)
    add("--single", action="store_true", help="FOLDER is one submission (Gradescope's /autograder/submission)")
    user = "run submissions as this user, who cannot read or write your files (root only)"
    add("--user", metavar="NAME", help=user)
    add("--no-namespaces", action="store_true", help="do not use Linux's process and network namespaces")
    cluster = "run the jobs on a cluster through submitit (plumbline-llm[slurm])"
    add("--slurm", nargs="?", const=CLUSTERS[0], choices=CLUSTERS, help=cluster)
    slurm = "an option for Slurm: partition=gpu, account=..."
    add("--slurm-option", action="append", default=[], metavar="KEY=VALUE", help=slurm)


def run(options: argparse.Namespace) -> int:
    """Grade the submissions, or print an example rubric."""
    checks = checks_of(load_catalogue())
    if options.example_rubric:
        print(example(checks), end="")
        return 0
    _check(options)
    rubric = read(Path(options.rubric), checks)
    if problem := problem_with(Level(rubric.isolation)):
        raise UsageError(f'{options.rubric}: isolation = "{rubric.isolation}": {problem}')
    extra, user = _slurm_options(options), _user(options.user)
    out = Path(options.out).resolve()
    try:
        submissions = _submissions(options, rubric)
    except OSError as error:
        raise UsageError(f"{options.submissions} cannot be read: {error}") from None
    session = Session(submissions, rubric, checks, out, options.force, user, not options.no_namespaces, _say)

    def judge_all(tasks: Sequence[Task]) -> Iterable[Judged]:
        return (
            on_cluster(tasks, out / ".slurm", options.jobs, options.slurm, extra)
            if options.slurm
            else here(tasks, options.jobs)
        )

    try:
        grades = session.run(judge_all)
    except KeyboardInterrupt:
        _say(f"interrupted; results so far are in {options.out}; the same command continues from there")
        return INTERRUPTED
    except OSError as error:
        raise UsageError(f"{error}") from None
    mean = sum(one.total for one in grades) / len(grades)
    result = f"{len(grades)} graded, {mean:.2f} of {rubric.points:g} points on average"
    _say(f"{result}: {options.out}/grades.csv, {options.out}/class.html")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for what is missing, or cannot be."""
    if not options.submissions:
        raise UsageError("no folder of submissions: plumbline grade submissions/ --rubric rubric.toml")
    if not options.rubric:
        raise UsageError("--rubric is missing; `plumbline grade --example-rubric > rubric.toml` writes an example")
    if options.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {options.jobs}")
    if not processes.supported():
        raise UsageError("plumbline grade needs Linux: it watches processes through /proc; run it in a container")


def checks_of(known: Catalogue) -> Checks:
    """The catalogue in plain values."""
    from harness.core.formatting import signature_line

    contracts = known.contracts
    return Checks(
        claims={name: {claim.name: claim.sentence for claim in known.claims_of(name)} for name in contracts},
        variants={name: contract.legal.names for name, contract in contracts.items()},
        parts={name: contract.parts for name, contract in contracts.items()},
        meanings={name: contract.meaning for name, contract in contracts.items()},
        signatures={name: signature_line(contract) for name, contract in contracts.items()},
        modules=(*sorted(name for name in sys.modules if name.startswith(PRELOADED)), "harness.pytest_plugin.plugin"),
    )


def _submissions(options: argparse.Namespace, rubric: Rubric) -> list[Submission]:
    path = Path(options.submissions).resolve()
    if not path.exists():
        raise UsageError(f"no such file or folder: {options.submissions}")
    if options.single or path.is_file():
        return [submission(path, rubric.entry if path.is_dir() else "")]
    found, skipped = find(path, rubric.entry)
    if skipped:
        _say(f"skipped (neither a folder nor a .py file): {', '.join(skipped)}")
    return found


def _user(name: str | None) -> tuple[int, int]:
    if not name:
        return -1, -1
    import pwd

    if os.geteuid() != 0:
        raise UsageError("--user needs root: only root may run a process as another user")
    try:
        entry: Any = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(
            f"--user: there is no user {name!r} on this machine; `adduser --system {name}` creates one"
        ) from None
    if problem := _unusable(entry.pw_uid, entry.pw_gid):
        raise UsageError(f"--user: {name} cannot run this Python ({sys.executable}): {problem}")
    return entry.pw_uid, entry.pw_gid


def _unusable(user: int, group: int) -> str:
    """Why a user cannot run Plumbline with this Python; empty where they can."""
    command = [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r}); import torch, plumbline, harness"]
    try:
        done = subprocess.run(
            command, user=user, group=group, extra_groups=[], capture_output=True, text=True, cwd="/", check=False
        )
    except OSError as error:
        return str(error.strerror)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def _slurm_options(options: argparse.Namespace) -> dict[str, str]:
    found = {}
    for pair in options.slurm_option:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UsageError(f"--slurm-option takes KEY=VALUE, not {pair!r} (example: partition=gpu)")
        found[key] = value
    return found


def _say(line: str) -> None:
    print(line, flush=True)


COMMAND = Command("grade a folder of submissions by a rubric", arguments, run, DETAILS)
