"""What a process of the implementation's begins with: a clean interpreter that becomes a worker, or forks workers.

It is started with an empty environment and imports torch, the harness and the contract sheets, with stand-ins for the
reference. The process that forks never runs code of the implementation; each fork does.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.registry import scan
from harness.discovery.locate import Place
from harness.isolation import processes
from harness.isolation.canary import broken
from harness.isolation.channel import Channel, Ended
from harness.isolation.confinement import Missing, confine, missing_packages
from harness.isolation.hollow import Hollow, Outline, install
from harness.isolation.level import Level, Limits
from harness.isolation.packing import know_records_of
from harness.isolation.unpacking import Unpacker
from harness.isolation.worker import Asker, Worker

PATIENCE = 1.0
"""Seconds in which a process that closed its connection may end by itself, so that its exit status is its own."""


def main(number: int) -> None:
    """Serve the judge at the other end of this descriptor. Never returns."""
    if sys.platform == "win32":
        end = socket.fromshare(sys.stdin.buffer.read())
    else:
        end = socket.socket(fileno=number)
    channel = Channel(end)
    code = 1
    try:
        hello, _ = channel.receive()
        asker = Asker()
        outlines = {name: Outline(**outline) for name, outline in hello["outlines"].items()}
        install(Hollow(outlines, asker, Unpacker([]).unpack))
        for name, outline in outlines.items():
            if outline.source:
                know_records_of(importlib.import_module(name))
        contracts: dict[str, Contract] = scan(importlib.import_module(hello["sheets"]), "CONTRACT", Contract)
        contracts = {name: contracts[name] for name in hello["order"]}
        missing_packages()  # imports those that are there, while programs can be started to look for them
        channel.send({"ready": os.getpid()})
        if hello["fork"]:
            ForkServer(channel, contracts, asker).serve()
        else:
            _work(channel, contracts, asker)
        code = 0
    except Ended:
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _work(channel: Channel, contracts: Mapping[str, Contract], asker: Asker) -> None:
    asker.channel = channel
    Worker(channel, contracts, entered, asker).serve()


def entered(body: Mapping[str, Any], place: Place | None) -> None:
    """Move to the scratch folder, give up what the level does not allow, and prove it.

    Raises UsageError where the level does not hold on this machine. ``place``: of the implementation, where there is
    one.
    """
    scratch, level, limits = body["scratch"], Level(body["level"]), Limits(**body["limits"])
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    os.chdir(scratch)
    readable = [Path(path) for path in body["readable"]] + (_of_its_own(place, Path(body["folder"])) if place else [])
    option = f"--impl-isolation={level}"
    try:
        confine(level, limits, scratch, readable, map(Path, body["secret"]))
    except Missing as missing:
        raise UsageError(f"{option} cannot be had on this machine: {missing}") from None
    if found := broken(level, limits, scratch, body["outside"], body["judge"]):
        listed = "; ".join(f"{name}: {said}" for name, said in found.items())
        raise UsageError(f"{option} does not hold on this machine: {listed}")


def _of_its_own(place: Place, current: Path) -> list[Path]:
    """The folder of the implementation, and the current one where it lies in that."""
    if place.path is None:
        return []
    own = place.path if place.path.is_dir() else place.path.parent
    while (own / "__init__.py").is_file() and own.parent != own:
        own = own.parent
    beneath = own.is_relative_to(current) and current not in (Path.home(), Path(current.anchor))
    return [own, current] if beneath else [own]


class ForkServer:
    """Forks a worker for each connection that the judge hands over. ``channel``: to the judge."""

    def __init__(self, channel: Channel, contracts: Mapping[str, Contract], asker: Asker) -> None:
        self.channel, self.contracts, self.asker = channel, contracts, asker
        self.workers: dict[int, str] = {}
        """The scratch folder of each; they are the judge's to remove, and this process's where that was killed."""

    def serve(self) -> None:
        """Fork and end workers until the judge is gone; then end all of them."""
        if sys.platform == "linux":
            processes.adopts_orphans()
        try:
            while True:
                body, _ = self.channel.receive()
                if body["do"] == "fork":
                    self.channel.send({"process": self._fork(body["scratch"])})
                else:
                    self.channel.send({"status": self._end(body["process"])})
        except Ended:
            for worker, scratch in list(self.workers.items()):
                self._end(worker)
                shutil.rmtree(scratch, ignore_errors=True)

    def _fork(self, scratch: str) -> int:
        """A new worker; it takes the connection and the end of a pipe for what it prints."""
        self.channel.socket.settimeout(None)
        _, ends, _, _ = socket.recv_fds(self.channel.socket, 1, 2)
        process = os.fork()
        if process == 0:
            try:
                self._become(*ends)
            finally:
                os._exit(0)
        for end in ends:
            os.close(end)
        self.workers[process] = scratch
        return process

    def _become(self, connection: int, prints: int) -> None:
        os.setsid()
        if sys.platform == "linux":
            processes.dies_with_its_parent()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (prints, 1), (prints, 2)):
            os.dup2(source, target)
        kept = os.dup2(connection, 3)
        os.closerange(4, 65536)
        self.channel.socket.detach()
        _work(Channel(socket.socket(fileno=kept)), self.contracts, self.asker)

    def _end(self, process: int) -> int:
        """End a worker and everything that it started; its exit status, or minus the number of the signal."""
        if self.workers.pop(process, None) is None:
            return 0
        until = time.monotonic() + PATIENCE
        while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > until:
                break
            time.sleep(0.005)
        _killed(process)  # its number is its own as long as nobody waited for it
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self._end_orphans()
        return status

    def _end_orphans(self) -> None:
        """What an ended worker left behind became a child of this process."""
        if sys.platform != "linux":
            return
        children = Path("/proc/thread-self/children")  # its number is another one in a namespace of its own
        for _ in range(100):
            try:
                left = [int(one) for one in children.read_text().split() if int(one) not in self.workers]
            except OSError:
                return
            if not left:
                return
            for process in left:
                _killed(process)
                os.waitpid(process, 0)


def _killed(process: int) -> None:
    """Kill a process and its group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(process, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
