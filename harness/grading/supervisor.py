"""Supervises the process of one submission: starts it, enforces its limits, and kills every process that it leaves."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from harness.grading.rubric import Limits
from harness.isolation import processes

MB = 1_000_000
PAUSE = 0.05
"""Seconds between two measurements of what a submission uses."""
KEPT_OUTPUT = 32_000
"""Bytes kept of the beginning and of the end of what is printed."""
LOADING = 10.0
"""Seconds added to the limit of the import, which pytest enforces itself with a better message."""
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT")


@dataclass(frozen=True)
class Job:
    """One run of pytest in a process of its own, in the private folder ``work``.

    ``arguments``: pytest's. ``journal``: the file that it writes as it runs. Checks in ``done`` and components in
    ``without`` are not judged. ``user``, ``group``: ids that it runs as, -1 for those of the grader.
    """

    work: str
    journal: str
    arguments: tuple[str, ...]
    limits: Limits
    done: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    user: int = -1
    group: int = -1
    namespaces: bool = True

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Job:
        values: dict[str, Any] = json.loads(text)
        lists = {key: tuple(values[key]) for key in ("arguments", "done", "without")}
        return cls(**{**values, **lists, "limits": Limits(**values["limits"])})


class Limit(str, Enum):
    """What a job may not exceed."""

    TOTAL_TIME = "total time"
    CHECK_TIME = "time of one check"
    MEMORY = "memory"
    PROCESSES = "processes"
    OUTPUT = "output"

    def __str__(self) -> str:
        return self.value


TIMES = (Limit.TOTAL_TIME, Limit.CHECK_TIME)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    ``code``: pytest's, or minus a signal number; ``limit``: which limit it exceeded, ``ended_for`` in words.

    ``memory_mb``: the peak of its processes together. ``apart``: whether it had namespaces of its own.
    """

    code: int = 0
    ended_for: str = ""
    output: str = ""
    seconds: float = 0.0
    memory_mb: float = 0.0
    apart: bool = False
    limit: Limit | None = None


@dataclass
class _Output:
    """What a process prints: the beginning, the end, and how much it was."""

    first: bytes = b""
    last: bytes = b""
    total: int = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = KEPT_OUTPUT - len(self.first)
        self.first += chunk[:room]
        self.last = (self.last + chunk[room:])[-KEPT_OUTPUT:] if room < len(chunk) else self.last

    def text(self) -> str:
        missing = self.total - len(self.first) - len(self.last)
        between = f"\n... ({missing} bytes omitted)\n".encode() if missing else b""
        return (self.first + between + self.last).decode("utf-8", "replace")


@dataclass
class _Watched:
    """A supervised process and its peak memory."""

    pid: int
    job: Job
    started: float = field(default_factory=time.monotonic)
    progress: float = field(default_factory=time.monotonic)
    size: int = 0
    most: int = 0

    def beyond(self, output: _Output) -> tuple[Limit | None, str]:
        """The limit that it exceeds, and in words; None while it keeps to all of them."""
        limits, now = self.job.limits, time.monotonic()
        size = _size(self.job.journal)
        if size != self.size:
            self.size, self.progress = size, now
        pids = processes.children_of(os.getpid())
        held = processes.held_by(pids)
        if held > limits.memory_mb * MB and len(pids) > 1:
            held = processes.held_by_all(pids)
        self.most = max(self.most, held)
        if now - self.started > limits.seconds:
            return Limit.TOTAL_TIME, f"it took longer than {limits.seconds:g} s in all"
        patience = limits.check_seconds if size else max(limits.check_seconds, 2 * limits.case_seconds + LOADING)
        if now - self.progress > patience:
            return Limit.CHECK_TIME, f"it took longer than {patience:g} s for {'one check' if size else 'the import'}"
        if self.most > limits.memory_mb * MB:
            return Limit.MEMORY, f"it used more than {limits.memory_mb:g} MB of memory"
        if len(pids) > limits.processes:
            return Limit.PROCESSES, f"it started more than {limits.processes} processes"
        if output.total > limits.output_mb * MB:
            return Limit.OUTPUT, f"it printed more than {limits.output_mb:g} MB"
        return None, ""


def watch(connection: socket.socket) -> None:
    """Read one job from the connection, run it to its end, and send back its outcome.

    If the other end closes the connection, everything is killed at once.
    """
    os.setsid()
    processes.adopts_orphans()
    with connection.makefile("r") as lines:
        job = Job.from_text(lines.readline())
    apart = job.namespaces and processes.apart()
    printed, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(job, writes)
    os.close(writes)
    os.set_blocking(printed, False)
    output, watched, status = _Output(), _Watched(pid, job), None
    limit, ended_for = None, ""
    while status is None and not ended_for:
        ready, _, _ = select.select([printed, connection.fileno()], [], [], PAUSE)
        if connection.fileno() in ready:  # the grader no longer waits for it
            processes.end_all(os.getpid())
            return
        _drain(printed, output, job.limits)
        done, state = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(state)
        else:
            limit, ended_for = watched.beyond(output)
    processes.end_all(os.getpid())
    _drain(printed, output, job.limits)
    seconds = time.monotonic() - watched.started
    code = status if status is not None else -int(signal.SIGKILL)
    outcome = Outcome(code, ended_for, output.text(), seconds, watched.most / MB, apart, limit)
    connection.sendall(json.dumps(asdict(outcome)).encode() + b"\n")


def _drain(printed: int, output: _Output, limits: Limits) -> None:
    """Read what was printed so far, but not without end: limits must be looked at, too."""
    for _ in range(64):
        try:
            chunk = os.read(printed, 65536)
        except BlockingIOError:
            return
        if not chunk:
            time.sleep(PAUSE)  # closed while it still runs: nothing to wait for
            return
        output.add(chunk)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


# the process itself --------------------------------------------------------------------------------------------------


def _become(job: Job, writes: int) -> None:
    """Turn this process into the submission's: its own session, folder, environment and limits. Never returns."""
    code = 70
    try:
        os.setsid()
        processes.dies_with_its_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writes, 1)
        os.dup2(writes, 2)
        os.closerange(3, 65536)
        _limited(job.limits)
        if job.user >= 0:
            os.setgroups([])
            os.setgid(job.group)
            os.setuid(job.user)
            processes.dies_with_its_parent()  # the kernel forgets it when the user changes
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        os.environ.clear()
        os.environ.update(kept | environment(job.work))
        os.chdir(job.work)
        code = _judge(job)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _judge(job: Job) -> int:
    import pytest

    from harness.grading.journal import Journal

    sys.argv = ["pytest"]
    journal = Journal(job.journal, frozenset(job.done), frozenset(job.without))
    return int(pytest.main(list(job.arguments), plugins=[journal]))


def environment(work: str) -> dict[str, str]:
    """The environment variables of a submission's process whose folder is ``work``."""
    return {
        "HOME": work,
        "TMPDIR": f"{work}/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "120",
    }


def _limited(limits: Limits) -> None:
    """Set the limits that the kernel enforces; the supervisor sees the rest.


    RLIMIT_DATA fails allocations far beyond the limit. RLIMIT_AS would count address space, which torch reserves
    freely; those of other submissions included.
    """
    file = int(limits.file_mb * MB)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/status", encoding="utf-8") as status:
        now = next((1024 * int(line.split()[1]) for line in status if line.startswith("VmData:")), 0)
    data = now + int(2 * limits.memory_mb * MB)
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as score:
            score.write("1000")  # if the machine runs out of memory, this process is killed first
    except OSError:
        return
