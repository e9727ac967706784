"""The same jobs on a cluster, through submitit (``pip install "plumbline-llm[slurm]"``): one job per submission."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.grading.forkserver import ForkServer
from harness.grading.judging import Judged, Task, judge

CLUSTERS = ("slurm", "local")
MINUTES_MORE = 5
"""Added to the time limit of a submission for its job: importing torch from a busy file system takes long."""


def on_cluster(
    tasks: Sequence[Task], folder: Path, jobs: int, cluster: str, options: Mapping[str, str]
) -> Iterator[Judged]:
    """Judge on a cluster. ``folder``: for submitit's files, on a shared file system; ``options``: Slurm's own.

    Interrupted, it cancels unfinished jobs. Raises UsageError where submitit is missing or refuses an option.
    """
    try:
        import submitit
    except ImportError:
        raise UsageError('--slurm needs submitit: pip install "plumbline-llm[slurm]"') from None
    if not tasks:
        return
    limits = tasks[0].rubric.limits
    parameters: dict[str, Any] = {
        "timeout_min": math.ceil(limits.seconds / 60) + MINUTES_MORE,
        "mem_gb": math.ceil(limits.memory_mb / 1000) + 1,
        "cpus_per_task": 1,
    }
    try:
        executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
        executor.update_parameters(**parameters)
        if cluster == "slurm":
            given = {f"slurm_{key.removeprefix('slurm_')}": value for key, value in options.items()}
            executor.update_parameters(slurm_array_parallelism=jobs, **given)
    except (RuntimeError, ValueError, TypeError, NameError) as error:
        raise UsageError(f"--slurm: {error}") from None
    running = executor.map_array(judge_alone, list(tasks))
    try:
        for done in submitit.helpers.as_completed(running):
            yield done.result()
    finally:
        for job in running:
            if not job.done():
                job.cancel()


def judge_alone(task: Task) -> Judged:
    """One submission on the machine where this runs."""
    with ForkServer(task.checks.modules) as fork_server:
        return judge(task, fork_server)
