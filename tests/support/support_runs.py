"""Many runs of pytest and of the command line, each as a person would start it, for the price of one import of torch.

A process of its own loads everything once and forks for every run: another folder, another command line, an exit code.
The fixture ``runs`` of tests/conftest.py gives all tests of a process the same one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = any(e.name == "plumbline" for e in entry_points(group="pytest11"))


def processor_seconds() -> float:
    """What this process and its ended children have used of the processor, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


class Done(NamedTuple):
    """How a run ended, and all that it printed."""

    code: int
    output: str


class Begun(NamedTuple):
    """A run that is going on: its process, and the file that its output goes to."""

    number: int
    output: Path


class Runs:
    """Starts runs; see above. POSIX only."""

    def __init__(self) -> None:
        outer = ("CI", "GITHUB_ACTIONS")
        environment = {k: v for k, v in os.environ.items() if k not in outer and not k.startswith(("PYTEST_", "TOX_"))}
        path = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
        environment |= {"COLUMNS": "120", "PYTHONPATH": path}
        command = [sys.executable, str(Path(__file__).resolve())]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seconds = 0.0
        """What the process and its runs have used of the processor, as of the last answer."""

    def _ask(self, *request: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer, self.seconds = json.loads(self.process.stdout.readline())
        return answer

    def start(self, folder: Path, arguments: Sequence[str], program: str = "pytest") -> Done:
        """A whole run; a run of pytest gets the same cases whenever our tests run, where it does not say otherwise."""
        if program == "pytest" and not any(a.startswith(("--impl-seed", "--impl-baseline")) for a in arguments):
            arguments = [*arguments, "--impl-seed=0"]
        return Done(*self._ask(str(folder), program, list(arguments), 0))

    def begin(self, folder: Path, arguments: Sequence[str], limit: int = 0) -> Begun:
        """A run that goes on by itself: to be stopped. ``limit``: bytes that one file may have."""
        number = self._ask(str(folder), "pytest, begun", list(arguments), limit)
        return Begun(number, folder / ".output")

    def wait(self, number: int) -> int:
        """How a run that was begun ended: its exit code, or minus the signal that ended it."""
        return int(self._ask("", "wait", [number], 0))


@cache
def shared_runs() -> Runs:
    """One for all tests of this process. It ends with us: its input is closed then."""
    return Runs()


def seconds_of_runs() -> float:
    """The processor seconds of :func:`shared_runs` so far; nothing where no test needed it."""
    return shared_runs().seconds if shared_runs.cache_info().currsize else 0.0


def serve() -> None:
    """Read [folder, program, arguments, limit] line by line, answer [what came of it, processor seconds so far]."""
    import torch

    import harness.cli
    import harness.pytest_plugin.plugin  # noqa: F401
    from harness.judging.catalogue import load_catalogue

    torch.set_num_threads(1)
    load_catalogue()
    sys.path.remove(str(Path(__file__).resolve().parent))
    for line in sys.stdin:
        folder, program, arguments, limit = json.loads(line)
        log = Path(folder) / ".output"
        if program == "wait":
            _answer(os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1]))
            continue
        child = os.fork()
        if child == 0:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            _run(Path(folder), program.partition(",")[0], arguments, log)
        if program == "pytest, begun":
            log.touch()
            _answer(child)
            continue
        _, status = os.waitpid(child, 0)
        output = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
        _answer([os.waitstatus_to_exitcode(status), output])


def _answer(answer: Any) -> None:
    print(json.dumps([answer, processor_seconds()]), flush=True)


def _run(folder: Path, program: str, arguments: list[str], log: Path) -> None:
    import pytest

    import plumbline

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background has it ignored
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 70
    try:
        if program == "pytest":
            code = int(pytest.main([*([] if INSTALLED else ["-p", "plumbline"]), *arguments]))
        else:
            sys.argv = ["plumbline", *arguments]
            code = plumbline.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
