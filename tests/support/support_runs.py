"""Many runs of pytest and of the command line, each as a person would start it, for the price of one import of torch.

A process of its own loads everything once and forks for every run: another folder, another command line, an exit code.
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
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = any(e.name == "plumbline" for e in entry_points(group="pytest11"))


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
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path, arguments: Sequence[str], program: str = "pytest") -> Done:
        assert self.process.stdin is not None and self.process.stdout is not None
        if program == "pytest" and not any(a.startswith("--impl-seed") for a in arguments):
            arguments = [*arguments, "--impl-seed=0"]  # the same cases whenever our tests run
        self.process.stdin.write(json.dumps([str(folder), program, list(arguments), 0]) + "\n")
        self.process.stdin.flush()
        return Done(*json.loads(self.process.stdout.readline()))

    def begin(self, folder: Path, arguments: Sequence[str], limit: int = 0) -> Begun:
        """A run that goes on by itself: to be stopped. ``limit``: bytes that one file may have."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(folder), "pytest, begun", list(arguments), limit]) + "\n")
        self.process.stdin.flush()
        return Begun(json.loads(self.process.stdout.readline()), folder / ".output")

    def wait(self, number: int) -> int:
        """How a run that was begun ended: its exit code, or minus the signal that ended it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(["", "wait", [number], 0]) + "\n")
        self.process.stdin.flush()
        return int(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """Read [folder, program, arguments] line by line, answer [exit code, output]."""
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
            print(os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            _run(Path(folder), program.partition(",")[0], arguments, log)
        if program == "pytest, begun":
            log.touch()
            print(child, flush=True)
            continue
        _, status = os.waitpid(child, 0)
        output = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
        print(json.dumps([os.waitstatus_to_exitcode(status), output]), flush=True)


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
