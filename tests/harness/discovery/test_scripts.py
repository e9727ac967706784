"""Scripts and notebooks are lifted, not run: what of them is executed, and what is told."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from harness.core.errors import ImportFailed
from harness.core.implementation import CrashKind, Request
from harness.core.note import NoteCode
from harness.discovery.lifting import lift, script_in
from harness.discovery.search import Found, discover
from harness.execution.executor import Executor
from harness.judging.catalogue import load_catalogue
from harness.modules.telling_cases import telling_cases

CONTRACTS = load_catalogue().contracts
TRAINS = "for step in range(1000):\n    loss = softmax(data)\n    loss.backward()\n"
SOFTMAX = "import torch\ndef softmax(x, dim=-1):\n    return torch.softmax(x, dim)\n"


def executed(text: str, wanted: tuple[str, ...] = ()) -> list[str]:
    """The statements that are executed, each as one line of text."""
    return [ast.unparse(s).replace("\n", ";") for s in lift(ast.parse(text), wanted).kept]


@pytest.mark.parametrize(
    ("line", "is_script"),
    [
        (TRAINS, True),
        ("import argparse\nargs = argparse.ArgumentParser().parse_args()", True),
        ("import sys\nsys.exit(0)", True),
        ("name = input('which? ')", True),
        ("import requests\ntext = requests.get('http://example.org').text", True),
        ("if True:\n    optimizer.step()", True),
        ("def main():\n    train()\ndef train():\n    loss.backward()\nmain()", True),
        ("def main():\n    loss.backward()\nif __name__ == '__main__':\n    main()", False),
        ("def train(loss):\n    loss.backward()", False),
        ("TABLE = {}\nfor i in range(256):\n    TABLE[i] = bytes([i])", False),
        ("text = open(__file__).read()", False),
        ("print(softmax(torch.ones(3)))", False),
        ("assert abs(softmax(torch.ones(3)).sum() - 1) < 1e-6", False),
        ("model = torch.nn.Linear(3, 3).eval()", False),
    ],
)
def test_a_script_is_known_by_its_text(line: str, is_script: bool) -> None:
    """It would train, read arguments, fetch something or end the program."""
    assert script_in(ast.parse(SOFTMAX + line)) is is_script


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("width = 3\ndepth = width // 2", ["width = 3", "depth = width // 2"]),
        ("device = 'cuda' if torch.cuda.is_available() else 'cpu'\ndef f(): return device", 2),
        ("device = 'cuda' if torch.cuda.is_available() else 'cpu'", []),
        ("text = open('a').read()\nchars = sorted(text)\ndef f(): return chars", 1),
        ("text = open('a').read()\nids = {c: i for i, c in enumerate('ab')}\ndef f(): return ids", 2),
        ("for i in range(9): print(i)\ntwice = [2 * i for i in range(9)]\ndef f(): return twice", 2),
        ("class M(torch.nn.Module): pass\nmodel = M()\ndef f(): return model", 2),
        ("class C: pass\nconfig = C()\ndef f(): return config", 3),
        ("T = {}\nfor i in range(9): T[i] = i\ndef f(): return T", 3),
        ("T = []\nT.append(3)\ndef f(): return T", 3),
        ("T = {}\nfor i in range(9): T[i] = train()\ndef train(): ...\ndef f(): return T", 3),
        ("with open('a') as f: text = f.read()", []),
        ("with torch.no_grad():\n    y = 3\n    print(y)", ["with torch.no_grad():;    y = 3"]),
        ("try:\n    import numpy\nexcept ImportError:\n    print(3)", 1),
        ("if True:\n    n = 3\nelse:\n    raise SystemExit", 1),
        ("import sys\nsys.path.append('.')", 2),
        ("torch.manual_seed(3)", []),
        ("print(3)\nassert f(3)\nf(3)\nx", []),
        ("class C(A): pass\nA = open('a').read()", 1),
        ("A = open('a').read()\nclass C(A): pass", []),
    ],
)
def test_what_definitions_need_is_executed_and_nothing_else(line: str, kept: list[str] | int) -> None:
    """A number: so many statements."""
    found = executed(line)
    assert (found if isinstance(kept, list) else len(found)) == kept


def test_what_is_looked_for_is_executed() -> None:
    """A component may be made in one line, which nothing else reads."""
    line = "gelu = torch.nn.GELU()\nother = torch.nn.GELU()\nsoftmax = torch.softmax"
    assert executed(line, ("gelu",)) == ["gelu = torch.nn.GELU()", "softmax = torch.softmax"]


def found(folder: Path, text: str, name: str = "train.py", limit: float = 60.0) -> Found:
    (folder / name).write_text(text)
    return discover(str(folder / name), CONTRACTS, limit)


def test_a_script_is_found_and_its_skipped_lines_are_told(tmp_path: Path) -> None:
    seen = found(tmp_path, f"{SOFTMAX}data = torch.load('nowhere.pt')\n{TRAINS}print('end')\n")
    assert set(seen.adapters) == {"softmax"} and [note.code for note in seen.notes] == [NoteCode.LIFTED]
    text = seen.notes[0].text
    assert "train.py is a script" in text and "3 other statements were not (lines 4-8)" in text


def test_a_module_of_a_package_is_lifted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "lifted_pack").mkdir()
    (tmp_path / "lifted_pack" / "__init__.py").write_text("")
    (tmp_path / "lifted_pack" / "train.py").write_text(f"{SOFTMAX}{TRAINS}")
    assert set(discover("lifted_pack.train", CONTRACTS).adapters) == {"softmax"}


@pytest.mark.parametrize("line", ["text = open('nowhere.txt').read()", "x = torch.ones(2, device='nowhere')"])
def test_a_file_that_lacks_its_data_is_lifted(tmp_path: Path, line: str) -> None:
    """Nothing in its text says so; it is run first, as ever."""
    seen = found(tmp_path, f"{SOFTMAX}{line}\n")
    assert set(seen.adapters) == {"softmax"} and "whose line 4 raises" in seen.notes[0].text


@pytest.mark.parametrize("line", ["x = 1 / 0", "import nowhere_at_all", "class C(1): pass"])
def test_a_mistake_at_the_top_of_a_file_is_still_one(tmp_path: Path, line: str) -> None:
    with pytest.raises(ImportFailed):
        found(tmp_path, f"{SOFTMAX}{line}\n")


def test_a_file_that_takes_too_long_is_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.discovery.importing.LEAST_SECONDS", 0.3)
    seen = found(tmp_path, f"{SOFTMAX}while True: pass\n", limit=0.3)
    assert set(seen.adapters) == {"softmax"} and "whose line 4 takes too long" in seen.notes[0].text


def test_a_name_that_was_not_made_is_told_where_it_is_needed(tmp_path: Path) -> None:
    """Not as a mistake of theirs."""
    text = "import torch\nscale = float(input())\ndef softmax(x, dim=-1):\n    return torch.softmax(scale * x, dim)\n"
    executor = Executor("it", found(tmp_path, text).adapters, CONTRACTS)
    crash = executor.run(Request("softmax", telling_cases(CONTRACTS["softmax"])[0])).crash
    assert crash is not None and crash.kind is CrashKind.NOT_SUPPORTED
    assert crash.message == "it needs scale, which line 2 would make: not run, since the file is a script"


def test_a_notebook_is_lifted_and_its_lines_are_those_of_its_cells(tmp_path: Path) -> None:
    cells = [
        "%pip install torch\nimport torch",
        "x = torch.ones(3)\nx.sum()",
        "def softmax(x, dim=-1):\n    return boom",
    ]
    text = json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})
    seen = found(tmp_path, text, "lesson.ipynb")
    assert "lesson.ipynb is a notebook" in seen.notes[0].text and "(cell 2)" in seen.notes[0].text
    executor = Executor("it", seen.adapters, CONTRACTS)
    crash = executor.run(Request("softmax", telling_cases(CONTRACTS["softmax"])[0])).crash
    assert crash is not None and crash.frames[-1].endswith("cell 3, line 2, in softmax\n    return boom")


def test_sizes_that_a_skipped_line_would_have_read_are_those_of_the_case(tmp_path: Path) -> None:
    """``vocab_size = len(chars)`` of a file of text that is not there."""
    text = """
import torch
from torch import nn
text = open("nowhere.txt").read()
vocab_size = len(set(text))
class Embedding(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.table = nn.Embedding(vocab_size, n_embd)
    def forward(self, idx):
        return self.table(idx)
loss = 3
loss.backward()
"""
    executor = Executor("it", found(tmp_path, text).adapters, CONTRACTS)
    answer = executor.run(Request("token_embedding", telling_cases(CONTRACTS["token_embedding"])[0]))
    assert answer.crash is None
