"""The line that says what is going on."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from harness.reports.live import LiveLine, is_watched, time_left

ROOT = Path(__file__).resolve().parents[3]
INSTALLED = any(e.name == "plumbline" for e in entry_points(group="pytest11"))


class Screen:
    """A terminal of few rows that understands what the line writes."""

    def __init__(self, rows: int) -> None:
        self.rows, self.row, self.column = [""] * rows, 0, 0

    def write(self, text: str) -> None:
        for piece in re.findall(r"\x1b\[\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
            if piece == "\n":
                self.row += 1
                if self.row == len(self.rows):
                    self.rows, self.row = [*self.rows[1:], ""], self.row - 1
            elif piece == "\r":
                self.column = 0
            elif piece == "\x1b[2K":
                self.rows[self.row] = ""
            elif piece.endswith("A"):
                self.row -= int(piece[2:-1])
            elif piece.endswith("G"):
                self.column = int(piece[2:-1]) - 1
            elif not piece.startswith("\x1b"):
                self.rows[self.row] = self.rows[self.row][: self.column].ljust(self.column) + piece
                self.column += len(piece)


@pytest.mark.parametrize("row", [0, 2], ids=["top", "last row"])
def test_it_stands_below_the_dots_and_leaves_them_as_they_were(row: int) -> None:
    """Also in the last row of the screen, which moves up; what is written afterwards goes on where it stopped."""
    screen, now = Screen(3), [0.0]
    screen.row = row
    line = LiveLine(screen.write, lambda: screen.column, lambda: 20, lambda: now[0])
    screen.write("gelu ...")
    line.begin()
    line.show("too early")
    assert "too early" not in screen.rows
    now[0] = 1.0
    line.show("case 7 of 50, and much more than fits")
    below = screen.rows.index("gelu ...") + 1
    assert screen.rows[below] == "case 7 of 50, and mu"[:19]
    now[0] = 1.1
    line.show("too soon after")
    assert screen.rows[below].startswith("case 7")
    line.begin()
    screen.write("F.")
    assert [r for r in screen.rows if r] == ["gelu ...F."]


def test_what_was_never_shown_is_not_cleared() -> None:
    """A quick run writes nothing at all."""
    written: list[str] = []
    line = LiveLine(written.append, lambda: 0, lambda: 80, lambda: 0.0)
    line.begin()
    line.show("something")
    line.clear()
    assert written == []


def test_nobody_looks_on_in_ci_in_a_file_or_at_a_dumb_terminal() -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    assert is_watched(Terminal(), {}) and not is_watched(Terminal(), {"CI": "true"})
    assert not is_watched(Terminal(), {"TERM": "dumb"}) and not is_watched(None, {})


def test_the_time_left_is_told_once_something_is_known_of_it() -> None:
    assert time_left(3, 100, 60.0) == "3 of 100 checks"
    assert time_left(50, 100, 30.0) == "50 of 100 checks, about 30 s left"
    assert time_left(10, 100, 60.0) == "10 of 100 checks, about 9 min left"
    assert time_left(100, 100, 60.0) == "100 of 100 checks"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals to make here")
@pytest.mark.parametrize("ci", [False, True])
def test_a_slow_check_tells_its_case_on_a_terminal_and_nothing_in_ci(tmp_path: Path, ci: bool) -> None:
    (tmp_path / "slow.py").write_text(
        "import time, torch\ndef softmax(x, dim):\n    time.sleep(0.06)\n    return torch.softmax(x, dim)\n"
    )
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("CI", "GITHUB_ACTIONS") and not k.startswith(("PYTEST_", "TOX_"))
    }
    environment |= {"TERM": "xterm", **({"CI": "true"} if ci else {})}
    if not INSTALLED:
        environment["PYTHONPATH"] = str(ROOT)
    plug = () if INSTALLED else ("-p", "plumbline")
    command = [
        sys.executable,
        "-m",
        "pytest",
        *plug,
        "--impl=slow",
        "--impl-seed=0",
        "--impl-cases=10",
        "softmax::deterministic",
    ]
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(ours)
    assert process.wait() == 0, output.decode()
    shown = re.findall(rb"softmax::deterministic: case \d+ of \d+; 0 of 1 checks", output)
    assert (not shown) == ci and b"Captured" not in output, output.decode()
