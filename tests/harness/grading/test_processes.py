"""Processes are found by who started them, weighed, and ended, orphans and all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.grading.checks import ROOT
from harness.isolation import processes

pytestmark = pytest.mark.skipif(not processes.supported(), reason="processes are watched through Linux's /proc")

FAMILY = """
import os, sys, time
sys.path.append(sys.argv[1])
from harness.isolation import processes
processes.adopts_orphans()
ready, tell = os.pipe()
if os.fork() == 0:                       # a child that leaves an orphan behind, in a session of its own
    os.setsid()
    if os.fork() == 0:
        held = bytearray(b"x") * 60_000_000
        for _ in range(2):
            if os.fork() == 0:
                break
        os.write(tell, b"r")
        time.sleep(600)
    os._exit(0)
os.wait()
for _ in range(3):
    os.read(ready, 1)
found = processes.children_of(os.getpid())
every = processes.descendants(os.getpid())
held, shared_once = processes.held_by(every), processes.held_by_all(every)
print(len(found), sorted(found) == sorted(every), held > 150_000_000, shared_once < 120_000_000)
processes.end_all(os.getpid())
print(processes.descendants(os.getpid()))
"""


def test_a_family_is_found_weighed_and_ended() -> None:
    """An orphan and its children, which share 60 MB: counted for each, or once; afterwards nobody is left."""
    done = subprocess.run(
        [sys.executable, "-c", FAMILY, str(ROOT)], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.stdout.split("\n")[:2] == ["3 True True True", "[]"], done.stderr


def test_what_is_gone_weighs_nothing() -> None:
    """It may end between two looks."""
    assert processes.held_by([2**22 + 1]) == processes.held_by_all([2**22 + 1]) == 0
    assert processes.held_by([os.getpid()]) > 0


def test_a_namespace_is_taken_where_there_is_one(tmp_path: Path) -> None:
    """There, the first process is number 1 and nobody else can be signalled; elsewhere it is said, and all goes on."""
    code = (
        "import os, sys\nsys.path.append(sys.argv[1])\nfrom harness.isolation import processes\n"
        "apart = processes.apart()\n"
        "if os.fork() == 0:\n    print(apart, os.getpid() == 1, flush=True)\n    os._exit(0)\nos.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, timeout=900, check=True
    )
    assert done.stdout in ("True True\n", "False False\n")
