"""Starts processes for an implementation, and ends them with everything that they started.

Where forking is safe one clean process imports torch once, and forks a worker in a few milliseconds. Elsewhere each
worker is a process that is started anew.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.isolation.channel import Channel, Ended, Silent, deadline_in
from harness.isolation.level import Level, Limits
from harness.isolation.oracle import Oracle
from harness.isolation.unpacking import ProtocolError

ROOT = Path(__file__).resolve().parents[2]
READABLE = ("harness", "plumbline.py", "plumbline_llm.py")
"""What the harness itself imports in a worker, beside the contract sheets."""
SECRET = ("bugs", "mutants", "cases")
"""Of the contract sheets, what no worker needs: known mistakes tell what is right, and cases what will be asked."""
BEGIN = (
    "import sys, json, socket; sys.path[:] = json.loads(sys.argv[1]); "
    "from harness.isolation.process import main; main(int(sys.argv[2]))"
)
SHARED = "-1"
"""In the place of a descriptor: the connection is described on standard input (on Windows)."""
KEPT_VARIABLES = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
"""Of the environment, what Python and torch need."""
STARTING_SECONDS = 120.0
"""Wall seconds for a process to import torch and the sheets, on a machine that is busy."""
ENDING_SECONDS = 30.0
KEPT_OUTPUT = 4096
"""Bytes that are kept of the end of what a worker prints."""


class Worker:
    """One process of an implementation: the channel to it, its scratch folder, and the end of what it prints."""

    def __init__(self, channel: Channel, process: int, scratch: str, prints: int) -> None:
        self.channel, self.process, self.scratch = channel, process, scratch
        self.printed = bytearray()
        _drain(prints, self.printed)


class Workers:
    """Starts the workers of one judge. ``oracle``: what it tells of the reference; ``sheets``: the package of the
    contract sheets, of which ``order`` are loaded. ``forks``: whether they are forked; None where that is safe."""

    def __init__(self, oracle: Oracle, sheets: str, order: list[str], forks: bool | None = None) -> None:
        self.oracle, self.sheets, self.order = oracle, sheets, order
        self.forks = sys.platform == "linux" if forks is None else forks
        self._server: tuple[Channel, subprocess.Popen[bytes]] | None = None
        self._outside, self._judge = "", os.getpid()
        self._reader: threading.Thread | None = None
        self._printed = bytearray()
        """The end of what the process that forks printed."""

    def place(self, worker: Worker, level: Level, limits: Limits) -> dict[str, Any]:
        """What a worker is told of the level that it is to have."""
        secret = [self.oracle.folder(), *(ROOT / self.sheets / name for name in SECRET), *_hidden_here()]
        return {
            **facts_of_this_process(),
            "scratch": worker.scratch,
            "level": str(level),
            "limits": limits.as_dict(),
            "readable": [str(ROOT / name) for name in (*READABLE, self.sheets)],
            "secret": list(map(str, secret)),
            "outside": self._file_outside(),
            "judge": os.getpid(),
        }

    def _file_outside(self) -> str:
        """A file of the judge's, for canaries."""
        if not self._outside or not os.path.exists(self._outside):
            handle, self._outside = tempfile.mkstemp(prefix="plumbline-canary-")
            os.write(handle, b"a file of the judge")
            os.close(handle)
            weakref.finalize(self, _removed, self._outside)
        return self._outside

    def start(self) -> Worker:
        """A new worker. Raises UsageError where the system gives none."""
        if self.forks and self._server is not None:
            with suppress(OSError, Ended, Silent, ProtocolError):
                return self._made()
            self.close()  # somebody ended the process that forks: there is another one
        try:
            return self._made()
        except (OSError, Ended, Silent, ProtocolError) as error:
            self.close()
            if self._reader is not None:
                self._reader.join(1.0)
            said = bytes(self._printed).decode("utf-8", "replace")
            raise UsageError(f"no process could be started for the implementation: {error}\n{said}".rstrip()) from None

    def end(self, worker: Worker) -> int | None:
        """End a worker; its exit status, or minus a signal's number; None where that is not known."""
        worker.channel.close()
        status = None
        try:
            if self._server is not None and self.forks:
                channel, _ = self._server
                deadline = deadline_in(ENDING_SECONDS)
                channel.send({"do": "end", "process": worker.process}, deadline=deadline)
                reply, _ = channel.receive(deadline)
                status = reply["status"]
            else:
                status = _ended_alone(worker.process)
        except (Ended, Silent, ProtocolError):
            self.close()
        shutil.rmtree(worker.scratch, ignore_errors=True)
        return status

    def close(self) -> None:
        """End all of them."""
        if self._server is not None:
            channel, process = self._server
            self._server = None
            channel.close()
            _ended(process)

    def _made(self) -> Worker:
        scratch = tempfile.mkdtemp(prefix="plumbline-")
        try:
            return self._forked(scratch) if self.forks else self._fresh(scratch)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def _forked(self, scratch: str) -> Worker:
        if self._judge != os.getpid():  # a fork of the judge: the process that forks serves the other one
            self._server, self._judge = None, os.getpid()
        if self._server is None:
            prints, printed = os.pipe()
            self._reader = _drain(prints, self._printed)
            try:
                self._server = channel, process = self._begun(True, printed)
            finally:
                os.close(printed)
            weakref.finalize(self, _closed, channel, process)
        channel, _ = self._server
        ours, theirs = socket.socketpair()
        prints, printed = os.pipe()
        deadline = deadline_in(STARTING_SECONDS)
        channel.send({"do": "fork", "scratch": scratch}, deadline=deadline)
        socket.send_fds(channel.socket, [b"."], [theirs.fileno(), printed])
        theirs.close()
        os.close(printed)
        reply, _ = channel.receive(deadline)
        return Worker(Channel(ours), reply["process"], scratch, prints)

    def _fresh(self, scratch: str) -> Worker:
        prints, printed = os.pipe()
        try:
            channel, process = self._begun(False, printed)
        finally:
            os.close(printed)
        _fresh_processes[process.pid] = process
        return Worker(channel, process.pid, scratch, prints)

    def _begun(self, fork: bool, output: int) -> tuple[Channel, subprocess.Popen[bytes]]:
        """A clean interpreter that has everything imported which it needs."""
        ours, theirs = socket.socketpair()
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment = {**kept, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-I", "-B", "-c", BEGIN, json.dumps(_own_path()), str(theirs.fileno())]
        process = _started(command, environment, theirs, output)
        theirs.close()
        channel, deadline = Channel(ours), deadline_in(STARTING_SECONDS)
        hello = {"outlines": self.oracle.outlines(), "sheets": self.sheets, "order": self.order, "fork": fork}
        channel.send(hello, deadline=deadline)
        while True:
            body, memory = channel.receive(deadline)
            if "ask" not in body:
                return channel, process
            reply, packer = self.oracle.answer(body["ask"], memory, "")
            channel.send(reply, packer.blobs, deadline)


def _started(
    command: list[str], environment: dict[str, str], end: socket.socket, output: int
) -> subprocess.Popen[bytes]:
    """A process that is given this end of a connection, in a session of its own."""
    if sys.platform != "win32":
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=(end.fileno(),),
            start_new_session=True,
        )
    process = subprocess.Popen(
        [*command[:-1], SHARED], stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment
    )
    assert process.stdin is not None
    process.stdin.write(end.share(process.pid))
    process.stdin.close()
    return process


_fresh_processes: dict[int, subprocess.Popen[bytes]] = {}


def search_path() -> list[str]:
    """Where this process looks for modules, with full paths."""
    return [os.path.abspath(entry) for entry in sys.path]


def _own_path() -> list[str]:
    """Where the harness and what it needs lie: nothing of a person's own."""
    roots = tuple({sys.prefix, sys.base_prefix, sys.exec_prefix})
    installed = ("site-packages", "dist-packages")
    found = [entry for entry in search_path() if entry.startswith(roots) or Path(entry).name in installed]
    return list(dict.fromkeys([*found, str(ROOT)]))


def _drain(end: int, kept: bytearray) -> threading.Thread:
    """Keep the end of what comes through a pipe, from now on."""
    reader = threading.Thread(target=_drained, args=(end, kept), daemon=True)
    reader.start()
    return reader


def _drained(end: int, kept: bytearray) -> None:
    """Read what is printed until nobody can print any more; keep the last of it."""
    try:
        while part := os.read(end, 1 << 16):
            kept += part
            del kept[:-KEPT_OUTPUT]
    except OSError:
        pass
    finally:
        os.close(end)


def _ended_alone(process: int) -> int | None:
    started = _fresh_processes.pop(process, None)
    return None if started is None else _ended(started)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit status after it was given the time to end by itself, or killed, and its whole session with it."""
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started in its session
    process.wait()
    return process.returncode


def _hidden_here() -> list[Path]:
    """What lies in the current folder and is none of the implementation's business: records, and what others keep."""
    here, temporary = Path.cwd(), Path(tempfile.gettempdir()).resolve()
    others = [temporary] if temporary.is_relative_to(here.resolve()) and here != Path(here.anchor) else []
    return [*here.glob(".*"), *here.glob("plumbline*.json"), *others]


def _removed(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _closed(channel: Channel, process: subprocess.Popen[bytes]) -> None:
    channel.close()
    _ended(process)


def facts_of_this_process() -> Mapping[str, Any]:
    """What a worker takes over from the judge: where modules are found, and the current folder."""
    return {"path": search_path(), "folder": os.getcwd()}
