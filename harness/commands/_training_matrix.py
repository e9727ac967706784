"""``plumbline matrix --training``: mistakes are planted in training scripts, and healthy scripts are inspected."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.script_mistake import ScriptMistake
from harness.training.trials import Trial, script_folder, script_mistakes, try_healthy, try_mistake

HEALTHY = "tests/training/healthy"
"""Where a checkout has healthy scripts."""
SEEDS = 3
CAUGHT, NAMED = 95.0, 85.0
"""Of a hundred mistakes, so many are caught, and so many named with the right line."""
Work = tuple[ScriptMistake | None, Path | None, int]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``--training``."""
    add = parser.add_argument_group("training scripts").add_argument
    add("--training", action="store_true", help="plant mistakes in training scripts, and inspect healthy ones")
    add("--healthy", metavar="FOLDER", help=f"with --training: the healthy scripts (default: {HEALTHY})")
    add("--seeds", type=int, default=SEEDS, metavar="N", help=f"with --training: seeds of each (default: {SEEDS})")


def run(options: argparse.Namespace) -> int:
    """Print a row for each mistake and each false alarm, and the totals. Returns 1 where the shares are too small."""
    started = time.perf_counter()
    only = options.only or ""
    mistakes = [m for m in script_mistakes() if only in m.name or only == m.script][:: max(options.every, 1)]
    healthy = [path for path in _healthy(options.healthy) if only in path.stem]
    if not mistakes and not healthy:
        raise UsageError(f"--only {only}: no mistake and no healthy script has this in its name")
    work: list[Work] = [(mistake, None, 0) for mistake in mistakes]
    work += [(None, path, seed) for path in healthy for seed in range(max(options.seeds, 1))]
    planted: list[Trial] = []
    right: list[Trial] = []
    for job, trial in _trials(work, options.jobs):
        (planted if job[0] else right).append(trial)
        if job[0] and (not options.brief or not trial.placed):
            print(_line(trial, job[0]), flush=True)
        elif not job[0] and (trial.found or trial.crash):
            print(f"FALSE ALARM {trial.name:<44} {', '.join(trial.found) or trial.crash}", flush=True)
    if options.json:
        rows = [asdict(trial) for trial in (*planted, *right)]
        Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return _totals(planted, right, time.perf_counter() - started)


def _totals(planted: list[Trial], right: list[Trial], seconds: float) -> int:
    caught, named = _share(planted, "caught"), _share(planted, "named")
    placed = sum(trial.named and trial.placed for trial in planted)
    share = 100 * placed / len(planted) if planted else 100.0
    alarms = sum(bool(trial.found) for trial in right)
    broken = sum(bool(trial.crash) for trial in right)
    print(
        f"{len(planted)} mistakes of {len({trial.script for trial in planted})} training scripts: "
        f"caught {caught:.1f} %, named {named:.1f} %, named with the right line {share:.1f} %; "
        f"{len({trial.script for trial in right})} healthy scripts, {len(right)} runs: {alarms} false alarms, "
        f"{broken} not judged; {seconds:.0f} s"
    )
    return 0 if caught >= CAUGHT and share >= NAMED and not alarms and not broken else 1


def _share(planted: list[Trial], what: str) -> float:
    return 100 * sum(getattr(trial, what) for trial in planted) / len(planted) if planted else 100.0


def _line(trial: Trial, mistake: ScriptMistake) -> str:
    caught = "caught" if trial.caught else "MISSED"
    named = "named" if trial.named else "not named" if trial.caught else ""
    placed = "line" if trial.placed else "WRONG LINE" if trial.named else ""
    found = ", ".join(trial.found) or trial.crash
    wanted = "" if trial.named else f"  [{mistake.kinds[0]}]"
    head = f"{trial.name:<44} {trial.script:<14} {caught:<6} {named:<9} {placed:<10}"
    return f"{head} {trial.seconds:>4.1f} s  {found}{wanted}"


def _healthy(folder: str | None) -> list[Path]:
    if folder is not None and not Path(folder).is_dir():
        raise UsageError(f"--healthy: there is no folder {folder}")
    scripts = [path for path in sorted(script_folder().glob("*.py")) if path.stem != "__init__"]
    return scripts + sorted(Path(folder or HEALTHY).glob("*.py"))


def _trials(work: list[Work], jobs: int) -> Iterator[tuple[Work, Trial]]:
    """In the order of the work. Each script is inspected in a process that inspects others too."""
    if jobs == 1:
        _one_thread()
        yield from ((job, _try(job)) for job in work)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        yield from zip(work, pool.map(_try, work, chunksize=4), strict=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _try(job: Work) -> Trial:
    mistake, path, seed = job
    if mistake is not None:
        return try_mistake(mistake)
    assert path is not None
    return try_healthy(path, seed)
