"""Mistakes in files whose wrong line is known, as ``plumbline matrix --lines`` tells of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands._line_matrix import ENOUGH, has_tensors
from harness.judging.catalogue import load_catalogue
from harness.mutation.line_trials import Marked, transplanted
from harness.mutation.planted import Style

ROOT = Path(__file__).parents[3]
FULL = bool(os.environ.get("PLUMBLINE_FULL"))
NORM = """\
import torch


def rms_norm(x, weight, eps):
    square = x.pow(2).mean(-1, keepdim=True)
    root = torch.rsqrt(square + eps)
    return x * root * weight
"""


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    """A file, one mistake in it, and what passes without."""
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "norm.py").write_text(NORM)
    (folder / "mistakes.toml").write_text(
        '[norm]\ncomponent = "rms_norm"\nedits = [["x * root", "x + root"], ["x.pow(2)", "x.square()"]]\n'
    )
    (folder / "expected.toml").write_text('[norm]\npasses = ["rms_norm"]\n')
    return folder


def test_each_mistake_has_a_row_and_the_sum_stands_last(
    styles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no check notices is counted apart; the exit code says whether enough was found."""
    file = tmp_path / "rows.json"
    command = ["matrix", "--lines", "--styles", str(styles), "--most", "2", "--cases", "4", "--json", str(file)]
    code = main(command)
    told = capsys.readouterr().out.splitlines()
    rows = {row["name"]: row for row in json.loads(file.read_text())}
    assert len(rows) == 4 and sum(" in norm" in name for name in rows) == 2
    assert rows["norm-0"]["marked"] == "right" and rows["norm-0"]["line"] == 7
    assert rows["norm-0"]["change"] in ("restored", "other")
    assert rows["norm-1"]["marked"] == Marked.UNSEEN.value and told[-1].endswith(
        "0 more raise an error, 1 fail no check"
    )
    assert told[-2].startswith("tensor components: 3 mistakes: ") and "median" in told[-1]
    right = sum(row["marked"] in ("right", "second") for row in rows.values())
    assert code == int(
        100 * right < ENOUGH["tensor"] * 3 or any(r["change"] == "none" for n, r in rows.items() if n != "norm-1")
    )


def test_wrong_use_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed package has no such files of its own."""
    monkeypatch.chdir(tmp_path)
    assert main(["matrix", "--lines"]) == 4
    assert "run it in a checkout of Plumbline, or name a folder: --styles=FOLDER" in capsys.readouterr().err
    (tmp_path / "mistakes.toml").write_text('[norm]\ncomponent = "rms_norm"\nedits = [["absent", "x"]]\n')
    (tmp_path / "norm.py").write_text(NORM)
    assert main(["matrix", "--lines", "--styles", "."]) == 4
    assert "norm.py has no 'absent'" in capsys.readouterr().err


def test_the_mistakes_of_the_catalogue_are_made_in_other_files(styles: Path) -> None:
    """Each text once, at most at a few places, and the line that is wrong is the one that differs."""
    groups = list(transplanted(Style(styles / "norm.py", "", ("rms_norm",)), 0, 2))
    texts = [one.text for group in groups for one in group]
    assert len(groups) >= 5 and len(texts) == len(set(texts))
    for group in groups:
        for one in group:
            differing = [
                n for n, (a, b) in enumerate(zip(NORM.splitlines(), one.text.splitlines(), strict=True), 1) if a != b
            ]
            assert differing == list(one.lines)


@pytest.mark.skipif(not FULL, reason="PLUMBLINE_FULL=1 plants 300 mistakes, which takes half an hour")
def test_no_fewer_lines_are_found_than_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In all styles of this project, of components that compute with tensors. What is promised is more: see ENOUGH."""
    monkeypatch.chdir(ROOT)
    file = tmp_path / "rows.json"
    main(["matrix", "--lines", "--brief", "--jobs", "2", "--json", str(file)])
    rows = [row for row in json.loads(file.read_text()) if row["marked"] not in ("not failing", "raises")]
    tensors = [row for row in rows if has_tensors(load_catalogue(), row["component"])]
    assert len(rows) >= 300
    assert 100 * sum(row["marked"] in ("right", "second") for row in tensors) >= 80 * len(tensors)
    assert 100 * sum(row["change"] != "none" for row in tensors) >= 60 * len(tensors)
