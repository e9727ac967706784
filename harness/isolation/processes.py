"""The processes of this machine, read from /proc, and what Linux offers to isolate one. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PROC = Path("/proc")
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000


def supported() -> bool:
    """Whether processes can be supervised on this system."""
    return sys.platform == "linux" and (PROC / "self" / "status").exists()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def dies_with_its_parent() -> None:
    """This process is killed when its parent ends."""
    _prctl(SET_PDEATHSIG, signal.SIGKILL)


def adopts_orphans() -> None:
    """Orphans among this process's descendants become its children, so that none escapes by forking twice."""
    _prctl(SET_CHILD_SUBREAPER, 1)


def apart() -> bool:
    """Give the next child a process namespace of its own, without network: it cannot signal processes outside.

    Returns whether the system allows that; where it does not, nothing is changed.
    """
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if os.geteuid() == 0:
        return bool(unshare(NEW_PID | NEW_NET) == 0)
    user, group = os.geteuid(), os.getegid()
    if unshare(NEW_USER | NEW_PID | NEW_NET) != 0:
        return False
    try:
        (PROC / "self" / "setgroups").write_text("deny")
        (PROC / "self" / "uid_map").write_text(f"{user} {user} 1")
        (PROC / "self" / "gid_map").write_text(f"{group} {group} 1")
    except OSError:  # the namespaces exist without a user mapping: files keep their owners
        return True
    return True


def children_of(root: int) -> list[int]:
    """Every living process below ``root``, from the kernel's lists of children: fast, but may miss a very new one."""
    found, waiting = list[int](), [root]
    while waiting:
        try:
            lists = [(task / "children").read_text() for task in (PROC / str(waiting.pop()) / "task").iterdir()]
        except FileNotFoundError:
            if not (PROC / "self" / "task" / str(os.getpid()) / "children").exists():  # a kernel without these lists
                return descendants(root)
            continue
        except OSError:
            continue
        below = [pid for pid in map(int, " ".join(lists).split()) if not _is_over(pid)]
        found += below
        waiting += below
    return found


def _is_over(pid: int) -> bool:
    """Whether a process has ended (a zombie included)."""
    try:
        return (PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2][:1] in (b"Z", b"X")
    except OSError:
        return True


def descendants(root: int) -> list[int]:
    """Every living process below ``root``, found among all processes of the machine."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                after = (entry / "stat").read_bytes().rpartition(b") ")[2].split()
            except OSError:
                continue
            if after[0] not in (b"Z", b"X"):
                children.setdefault(int(after[1]), []).append(int(entry.name))
    found, waiting = list[int](), [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def held_by(pids: list[int]) -> int:
    """Bytes of anonymous and shared memory of these processes. What they share is counted for each of them."""
    return sum(_lines(pid, "status", ("RssAnon:", "RssShmem:")) for pid in pids)


def held_by_all(pids: list[int]) -> int:
    """The same with shared memory counted once; slower."""
    return sum(_lines(pid, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for pid in pids)


def _lines(pid: int, file: str, names: tuple[str, ...]) -> int:
    """The sum of these lines of a /proc file, in bytes (the file has kB); 0 where the process is gone."""
    try:
        text = (PROC / str(pid) / file).read_text()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith(names))


def end_all(root: int, seconds: float = 10.0) -> None:
    """Kill and reap everything below ``root``. All is stopped first, so that nothing forks faster than it is killed."""
    until = time.monotonic() + seconds
    while (left := descendants(root)) and time.monotonic() < until:
        for what in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                try:
                    os.kill(pid, what)
                except ProcessLookupError:
                    continue
        _reap()
        time.sleep(0.005)
    _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
