"""Proofs that a level holds: the process tries what it must not be able to do, before it loads the implementation."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.isolation.confinement import MB, is_administrator
from harness.isolation.level import Level, Limits

Proof = Callable[[], str]
"""Empty where the attempt failed as it must, else what could be done."""


def broken(level: Level, limits: Limits, scratch: str, outside: str, judge: int) -> dict[str, str]:
    """Which promises of a level do not hold, by name, with what could be done.

    ``outside``: a file of the judge's, which a process of any level below ``sandbox`` may read and write. ``judge``:
    its process.
    """
    found = {}
    for name, proof in proofs(level, limits, scratch, outside, judge).items():
        try:
            said = proof()
        except (OSError, MemoryError, OverflowError) as error:
            said = f"{type(error).__name__}: {error}"
        if said:
            found[name] = said
    return found


def proofs(level: Level, limits: Limits, scratch: str, outside: str, judge: int) -> Mapping[str, Proof]:
    """What is tried for a level, by the name of the promise."""
    every: dict[str, Proof] = {}
    if Level.PROCESS in level.includes:
        every["a process of its own"] = lambda: "" if os.getpid() != judge else "this is the judge's process"
    if Level.LIMITS in level.includes:
        every["memory"] = lambda: _memory(limits)
        every["size of a file"] = lambda: _file(limits, scratch)
        every["open files"] = lambda: _open_files(limits)
    if Level.SANDBOX in level.includes:
        every["reading elsewhere"] = lambda: _refused(
            lambda: Path(outside).read_bytes(), "a file of the judge was read"
        )
        every["writing elsewhere"] = lambda: _refused(lambda: _written(outside), "a file of the judge was written")
        every["network"] = lambda: _refused(socket.socket, "a socket could be made")
        every["signals to others"] = lambda: _refused(lambda: os.kill(judge, 0), "the judge could be signalled")
        every["other processes"] = lambda: _refused(_forked, "a process could be started")
        every["writing to its own folder"] = lambda: _can_write(scratch)
    return every


def promises(level: Level) -> list[str]:
    """The names of what a level promises beyond the one before it, each of which a canary proves."""
    before = [name for lower in level.includes[:-1] for name in proofs(lower, Limits(), "", "", 0)]
    return [name for name in proofs(level, Limits(), "", "", 0) if name not in before]


def told_of(level: Level) -> list[str]:
    """What a level promises that no canary proves here, in words."""
    told = []
    if level is Level.LIMITS and is_administrator():
        told.append("processes: this user is the administrator, whose processes are not limited")
    return told


def _refused(attempt: Callable[[], object], otherwise: str) -> str:
    try:
        attempt()
    except PermissionError:
        return ""
    return otherwise


def _memory(limits: Limits) -> str:
    try:
        bytearray((limits.memory_mb + 512) * MB)
    except MemoryError:
        return ""
    return f"{limits.memory_mb + 512} MB could be had"


def _file(limits: Limits, scratch: str) -> str:
    path = Path(scratch) / "canary"
    try:
        with path.open("wb", buffering=0) as file:
            file.seek(limits.file_mb * MB)
            file.write(b"x")
    except OSError:
        return ""
    finally:
        path.unlink(missing_ok=True)
    return f"a file of more than {limits.file_mb} MB could be written"


def _open_files(limits: Limits) -> str:
    opened: list[int] = []
    try:
        while len(opened) <= limits.open_files:
            opened.append(os.dup(0))
    except OSError:
        return ""
    finally:
        for one in opened:
            os.close(one)
    return f"{limits.open_files} files could be open"


def _written(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def _forked() -> None:
    if sys.platform == "win32":
        return
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _can_write(scratch: str) -> str:
    path = Path(scratch) / "canary"
    path.write_text("x", encoding="utf-8")
    path.unlink()
    return ""
