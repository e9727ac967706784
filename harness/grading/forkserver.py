"""A process that has everything imported and forks for each submission, so that none pays for importing torch again.

It forks a supervisor (:mod:`harness.grading.supervisor`), which forks the process of the submission in turn. Code of a
submission never runs in the fork server itself.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from harness.grading import supervisor
from harness.grading.checks import ROOT
from harness.grading.supervisor import Job, Outcome
from harness.isolation import processes

PROGRAM = (
    "import sys; sys.path[:] = [p for p in sys.path if p] + [sys.argv[1]]; "
    "from harness.grading.forkserver import serve; serve(int(sys.argv[2]), sys.argv[3].split(','))"
)
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
LOST = "its supervisor process was killed"


class Stopped(Exception):
    """The fork server was closed while a job ran; the job has no outcome."""


class ForkServer:
    """The grader's end. ``run`` may be called from several threads; a fork server that was killed is restarted."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = tuple(modules)
        self.closed = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="plumbline-")
        self._waiting: set[socket.socket] = set()

    def run(self, job: Job) -> Outcome:
        """The outcome of one job. Raises Stopped if the server is closed meanwhile, OSError if it cannot be started."""
        here, there = socket.socketpair()
        with here:
            with there, self._lock:
                if self.closed:
                    raise Stopped
                self._send(there)
                self._waiting.add(here)
            try:
                here.sendall(job.as_text().encode() + b"\n")
                with here.makefile("rb") as lines:
                    answer = lines.readline()
            except OSError:
                answer = b""
            finally:
                with self._lock:
                    self._waiting.discard(here)
        if self.closed:
            raise Stopped
        return Outcome(**json.loads(answer)) if answer.endswith(b"\n") else Outcome(-int(signal.SIGKILL), LOST)

    def _send(self, connection: socket.socket) -> None:
        """Send the supervisor's end of a connection to the fork server, which is restarted once where it is gone."""
        for last in (False, True):
            try:
                if self._control is None or self._process is None or self._process.poll() is not None:
                    self._start()
                assert self._control is not None
                socket.send_fds(self._control, [b"j"], [connection.fileno()])
                return
            except OSError:
                self._end()
                if last:
                    raise

    def _start(self) -> None:
        self._end()
        here, there = socket.socketpair()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= supervisor.environment(self._folder.name) | {
            "TMPDIR": os.environ.get("TMPDIR", tempfile.gettempdir())
        }
        command = [sys.executable, "-c", PROGRAM, str(ROOT), str(there.fileno()), ",".join(self.modules)]
        with there:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[there.fileno()],
                start_new_session=True,
            )
        self._control = here
        if here.recv(1) != b"r":
            _, problem = self._process.communicate()
            raise OSError(f"the fork server could not be started: {problem.decode('utf-8', 'replace')[-2000:]}")

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
        self._control = self._process = None

    def close(self) -> None:
        """End everything at once; jobs in flight raise Stopped."""
        self.closed = True
        with self._lock:
            for waiting in self._waiting:
                waiting.shutdown(socket.SHUT_RDWR)
            self._end()
        self._folder.cleanup()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# the process ---------------------------------------------------------------------------------------------------------


def serve(control_fd: int, modules: Sequence[str]) -> None:
    """Import everything and report it; then fork a supervisor for every connection, until the grader is gone."""
    for name in ("pytest", *modules, "plumbline"):
        if name:
            importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    processes.adopts_orphans()
    control = socket.socket(fileno=control_fd)
    supervisors: set[int] = set()
    control.send(b"r")
    while True:
        ready, _, _ = select.select([control], [], [], 0.5)
        _reap_children(supervisors)
        if not ready:
            continue
        message, received, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            control.close()
            try:
                supervisor.watch(socket.socket(fileno=received[0]))
            finally:
                os._exit(0)
        supervisors.add(pid)
        for file in received:
            os.close(file)


def _reap_children(supervisors: set[int]) -> None:
    """Reap ended children, and kill what killed supervisors left behind: it became a child of this process."""
    try:
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            supervisors.discard(pid)
    except ChildProcessError:
        return
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        if child not in supervisors:
            for pid in (*processes.descendants(child), child):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
