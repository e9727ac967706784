"""What a process gives up before it loads the implementation: memory and files beyond limits, the rest of the machine.

Everything that only some systems have is imported where it is used.
"""

from __future__ import annotations

import errno
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.isolation.level import Level, Limits

MB = 1 << 20
CLONE_THREAD = 0x00010000
READ_BESIDE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache"),
    *("/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
    *("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"),
)
"""What Python and torch read outside their own folders: half precision looks at the processor, for one."""
DENIED = (
    *("socket", "connect", "bind", "listen", "accept", "accept4"),
    *("fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open", "pidfd_getfd"),
    *("io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "mount", "umount2", "pivot_root", "chroot"),
    *("unshare", "setns", "keyctl", "add_key", "request_key", "shmget", "msgget", "semget", "mq_open"),
    *("setpriority", "kcmp", "name_to_handle_at", "open_by_handle_at", "swapon", "reboot", "init_module"),
)
"""Calls of the system that are refused."""
IGNORED = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes"),
    *("utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
"""Calls that seem to succeed and do nothing: files of others have the same owner, and copying a file makes them."""
PACKAGES = {"landlock": "landlock", "pyseccomp": "pyseccomp"}
"""Modules that the sandbox needs, and the distributions that have them."""


class Missing(Exception):
    """Something that a level needs is not there."""


def confine(level: Level, limits: Limits, scratch: str, readable: Iterable[Path], secret: Iterable[Path]) -> None:
    """Give up what this level does not allow, for good.

    ``readable``: folders and files that may be read beside Python's, but for ``secret`` ones in them. Raises Missing
    where the machine lacks what the level needs.
    """
    if Level.LIMITS in level.includes:
        _limit(limits)
    if Level.SANDBOX in level.includes:
        missing = missing_packages()
        if missing:
            raise Missing(f"it needs {' and '.join(missing)}: python -m pip install 'plumbline-llm[isolation]'")
        try:
            _allow_files(Path(scratch), [*_of_python(), *readable], [*secret])
            _refuse_calls()
        except OSError as error:
            raise Missing(f"this system refuses it: {error}") from None


def missing_packages() -> list[str]:
    """The distributions that the sandbox needs and that are not installed."""
    if sys.platform != "linux":
        return ["Linux"]
    return [distribution for module, distribution in PACKAGES.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        __import__(module)
    except (ImportError, OSError, RuntimeError):  # without the library that it calls
        return False
    return True


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:
        raise Missing("this system has no limits for a process") from None

    def at_most(what: int, value: int) -> None:
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))

    at_most(resource.RLIMIT_FSIZE, limits.file_mb * MB)
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_NOFILE, limits.open_files)
    memory = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    at_most(memory, _held("VmData:" if sys.platform == "linux" else "VmSize:") + limits.memory_mb * MB)
    if not is_administrator():
        at_most(resource.RLIMIT_NPROC, _tasks_of_this_user() + limits.processes)


def is_administrator() -> bool:
    """Whether the kernel does not limit this user's processes."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _held(what: str) -> int:
    """Bytes that this process has of something."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 1 << 36  # unknown: torch reserves address space freely
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(what)), 0)


def _tasks_of_this_user() -> int:
    """Threads of this user's processes, which is what the kernel counts."""
    count = 0
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == os.geteuid():
                count += len(list((entry / "task").iterdir()))
        except OSError:
            continue
    return count or 4096


# files ---------------------------------------------------------------------------------------------------------------


def _of_python() -> list[Path]:
    """The folders of Python and of its libraries."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = [sysconfig.get_path(name) for name in names] + [sys.prefix, sys.base_prefix]
    return [Path(entry) for entry in dict.fromkeys(found) if entry]


def _allow_files(scratch: Path, readable: Iterable[Path], secret: list[Path]) -> None:
    """Reading these, writing to the scratch folder, and nothing else."""
    import landlock

    access = landlock.FSAccess
    rules, read = landlock.Ruleset(), access.READ_FILE | access.READ_DIR | access.EXECUTE
    hidden = [path.resolve() for path in secret]
    for path in dict.fromkeys([*(entry.resolve() for entry in readable), *map(Path, READ_BESIDE)]):
        for part in without(path, hidden):
            rules.allow(part, rules=read if part.is_dir() else access.READ_FILE)
        if path.is_dir() and any(inner.is_relative_to(path) for inner in hidden):
            rules.allow(path, rules=access.READ_DIR)
    rules.allow(scratch, rules=access.all() & ~access.EXECUTE)
    rules.allow("/dev/null", rules=access.READ_FILE | access.WRITE_FILE)
    rules.apply()


def without(path: Path, hidden: list[Path]) -> Iterator[Path]:
    """The largest parts of a folder in which nothing hidden lies."""
    if any(path.is_relative_to(inner) for inner in hidden) or not path.exists():
        return
    if not any(inner.is_relative_to(path) for inner in hidden):
        yield path
        return
    for entry in sorted(path.iterdir()):
        yield from without(entry, hidden)


# calls ---------------------------------------------------------------------------------------------------------------


def _refuse_calls() -> None:
    """No network, no new programs and processes, no signals to others."""
    import pyseccomp

    calls: Any = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused, ignored = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(0)
    for names, action in ((DENIED, refused), (IGNORED, ignored)):
        for name in names:
            _rule(calls, action, name)
    thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0)
    _rule(calls, refused, "clone", thread)
    _rule(calls, pyseccomp.ERRNO(errno.ENOSYS), "clone3")  # whoever calls it falls back to clone
    for name in ("kill", "tgkill"):
        _rule(calls, refused, name, pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
    calls.load()


def _rule(calls: Any, action: int, name: str, *arguments: Any) -> None:
    """One rule; none where this kernel's interface, or this processor, has no such call."""
    import pyseccomp

    try:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    except (ValueError, OSError):
        return
    if number >= 0:
        calls.add_rule(action, number, *arguments)
