"""At every save: what changed is judged again, what failed before too, and nothing ends the watch but Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.commands.watch import Watch
from harness.core.record import RunRecord, Status, Verdict

ROOT = Path(__file__).resolve().parents[3]
ORDER = ("gelu", "layer_norm", "mlp")
GOOD = "def gelu(x):\n    return x\n\ndef layer_norm(x):\n    return x\n\ndef mlp(x):\n    return gelu(x)\n"


class Judge:
    """Stands in for pytest: remembers what it was asked; the components in ``wrong`` fail."""

    def __init__(self) -> None:
        self.asked: list[list[str] | None] = []
        self.wrong: set[str] = set()
        self.broken = False

    def __call__(self, impl: str, components: list[str] | None) -> tuple[int, RunRecord | None, str]:
        self.asked.append(components)
        if self.broken:
            return 4, None, "NameError: name 'tprch' is not defined"
        verdicts = [
            Verdict(
                n,
                "agrees",
                "it is right",
                Status.FAILED if n in self.wrong else Status.PASSED,
                message="it is not",
                cases=3,
                failed_cases=3,
            )
            for n in (components or ORDER)
        ]
        record = RunRecord(
            impl=impl,
            seed=0,
            planned=dict.fromkeys(components or ORDER, 1),
            order=ORDER,
            parts={"mlp": ("gelu",)},
            meanings={},
            verdicts=verdicts,
            summaries={},
        )
        return int(bool(self.wrong)), record, ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(GOOD)
    return path


def save(path: Path, text: str) -> None:
    """Written at another moment, whatever the clock of the file system."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_only_what_changed_and_what_failed_is_judged_again(file: Path, capsys: pytest.CaptureFixture) -> None:
    """First everything; then the changed one with what stands on it; then also what is still wrong."""
    judge = Judge()
    watch = Watch("model", file, judge)
    assert watch.look() and judge.asked == [None]
    assert not watch.look(), "nothing was saved"
    judge.wrong = {"layer_norm"}
    save(file, GOOD.replace("def layer_norm(x):\n    return x", "def layer_norm(x):\n    return -x"))
    assert watch.look() and judge.asked[-1] == ["layer_norm"] and watch.code == 1
    told = capsys.readouterr().out
    assert (
        re.search(r"^\d\d:\d\d:\d\d  2 passed, 1 failed, 0 to do", told, re.M) and "next: fix layer_norm first" in told
    )
    judge.wrong = set()
    save(file, file.read_text().replace("def gelu(x):\n    return x", "def gelu(x):\n    return 2 * x"))
    assert watch.look() and judge.asked[-1] == ["gelu", "layer_norm", "mlp"]
    assert "3 passed, 0 failed, 0 to do" in capsys.readouterr().out
    save(file, file.read_text() + "# a remark\n")
    assert not watch.look() and len(judge.asked) == 3


def test_half_typed_and_broken_files_are_told_and_survived(file: Path, capsys: pytest.CaptureFixture) -> None:
    """A syntax error judges nothing; a file that fails to import is told; the next save judges everything."""
    judge = Judge()
    watch = Watch("model", file, judge)
    watch.look()
    save(file, GOOD + "def lora(x:\n")
    assert watch.look() and len(judge.asked) == 1 and watch.code == 4
    assert "model.py, line 9: '(' was never closed; waiting" in capsys.readouterr().out
    judge.broken = True
    save(file, GOOD + "tprch = tprch\n")
    assert watch.look() and "NameError" in capsys.readouterr().out
    judge.broken = False
    save(file, GOOD)
    assert watch.look() and judge.asked[-1] is None and "3 passed" in capsys.readouterr().out


def started(folder: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "plumbline", "watch", *arguments]
    # A job in the background of a shell is started with Ctrl-C ignored, and so are its children: not what is tested.
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_it_watches_until_ctrl_c(tmp_path: Path) -> None:
    """From outside: a stub is written, saved, judged; the end is no failure."""
    file = tmp_path / "mymodel.py"
    file.write_text("import torch\n\ndef gelu(x):\n    pass\n")
    process = started(tmp_path, "mymodel", "--cases", "3")
    watchdog = threading.Timer(900, process.kill)
    watchdog.start()
    told: list[str] = []

    def until(mark: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if mark in line:
                return
        raise AssertionError("".join(told))

    until("Ctrl-C ends")
    file.write_text("import torch\n\ndef gelu(x):\n    return torch.nn.functional.gelu(x, approximate='tanh')\n")
    until("checking")
    until("1 passed, 0 failed")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=900) == 0
    watchdog.cancel()
    assert re.search(r"^gelu +\d+ of \d+ .*passed", "".join(told), re.M)


def test_once_ends_by_itself(tmp_path: Path) -> None:
    """With pytest's exit code; what cannot be watched is wrong use."""
    (tmp_path / "wrong.py").write_text("def gelu(x):\n    return x\n")
    process = started(tmp_path, "wrong", "--once", "--cases", "3")
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 1 and "next: fix gelu first" in told, told
    process = started(tmp_path, "mistake:gelu.relu")
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 4 and "never changes" in told
