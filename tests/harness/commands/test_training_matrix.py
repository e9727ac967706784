"""``plumbline matrix --training``: its rows, its totals and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support_scripts import SCRIPTS

from harness.cli import main
from harness.core.script_mistake import ScriptMistake, edits
from harness.training.trials import script_mistakes, try_healthy, try_mistake

CLEARED = "        optimizer.zero_grad()\n"
LOOP = """\
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Embedding(9, 8), torch.nn.Linear(8, 9))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(2):
    for _ in range(5):
        ids = torch.randint(9, (6, 5))
        loss = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), (ids + 2).remainder(9).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def test_a_named_mistake_gives_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One mistake, no healthy script with this name: caught, named, with its line; the rows are written as JSON."""
    out = tmp_path / "rows.json"
    arguments = ["matrix", "--training", "--only", "zero_grad_named", "--healthy", str(tmp_path), "--json", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "zero_grad_named_not_called" in printed and "caught 100.0 %" in printed
    (row,) = json.loads(out.read_text())
    assert row["caught"] and row["named"] and row["placed"] and row["script"] == "llmc"


def test_a_false_alarm_gives_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script with a mistake among those that are said to be healthy is a false alarm, and told as one."""
    (tmp_path / "never_cleared.py").write_text(LOOP.replace(CLEARED, ""), encoding="utf-8")
    (tmp_path / "never_cleared_not.py").write_text(LOOP, encoding="utf-8")
    arguments = ["matrix", "--training", "--only", "never_cleared", "--healthy", str(tmp_path), "--seeds", "1"]
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert printed.count("FALSE ALARM") == 1 and "2 healthy scripts, 2 runs: 1 false alarms" in printed


def test_a_script_without_steps_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that breaks, or makes no step, does not count as left alone."""
    (tmp_path / "broken_here.py").write_text("raise ValueError('no data')\n", encoding="utf-8")
    (tmp_path / "broken_here_too.py").write_text("print('nothing')\n", encoding="utf-8")
    assert main(["matrix", "--training", "--only", "broken_here", "--healthy", str(tmp_path), "--seeds", "1"]) == 1
    assert "0 false alarms, 2 not judged" in capsys.readouterr().out


def test_a_name_that_is_nowhere_is_wrong_use(tmp_path: Path) -> None:
    """--only with a text that no mistake and no script has."""
    assert main(["matrix", "--training", "--only", "no_such_mistake", "--healthy", str(tmp_path)]) == 4


def test_a_wrong_line_is_not_placed() -> None:
    """A finding of the right kind at another line counts as named, and not as placed."""
    mistake = next(m for m in script_mistakes() if m.name == "zero_grad_named_not_called")
    at = ('print(f"val loss {val_loss / 4:.6f}")',)
    elsewhere = ScriptMistake("m", mistake.script, "It.", mistake.edits, mistake.kinds, at)
    trial = try_mistake(elsewhere)
    assert trial.caught and trial.named and not trial.placed


def test_a_mistake_that_changes_nothing_is_missed() -> None:
    """An edit of a comment is no mistake: nothing is caught."""
    right = '"""Reference trainer in one loop'
    nothing = ScriptMistake(
        "m", "llmc", "It.", edits((right, '"""A reference trainer in one loop')), ("k",), ("break",)
    )
    assert not try_mistake(nothing).caught


def test_the_seed_of_a_healthy_script_is_changed(tmp_path: Path) -> None:
    """Another seed gives another run: the name says so."""
    path = tmp_path / "loop.py"
    path.write_text(LOOP, encoding="utf-8")
    assert try_healthy(path, 2).name == "loop (seed 2)"
    assert not try_healthy(SCRIPTS / "sft.py").found
