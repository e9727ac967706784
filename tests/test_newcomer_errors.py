"""What a newcomer does wrong, and what they read: the exit code, and the exact thing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from support_runs import INSTALLED, ROOT, Done, Runs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are started by forking")

TORCH = "import torch\n"
GELU = "torch.nn.functional.gelu(x, approximate='tanh')"
GOOD = f"{TORCH}def gelu(x):\n    return {GELU}\n"
NORM = "torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"


class Error(NamedTuple):
    """A file ``mine.py`` (or several), a command line, and what comes of it."""

    name: str
    code: int
    told: tuple[str, ...]
    files: str | dict[str, str] = GOOD
    command: tuple[str, ...] = ("--impl=mine",)
    here: str = "."


WRONG_USE = (
    Error("a typo in the module's name", 4, ("did you mean mine?",), command=("--impl=mien",)),
    Error(
        "a typo in the file's name",
        4,
        ("there is no file mien.py; did you mean mine.py?",),
        command=("--impl=mien.py",),
    ),
    Error(
        "a file that is not there",
        4,
        ("Here is mine.py", "`plumbline init` writes a file"),
        command=("--impl=./solution.py",),
    ),
    Error("a module that is nowhere", 4, ("there is mine", "`plumbline init` writes a file"), command=("--impl=zzz",)),
    Error(
        "a folder without code",
        4,
        ("src is a directory in which no file defines anything. It holds mine.py",),
        {"src/mine.py": "x = 3\n"},
        ("--impl=./src",),
    ),
    Error("an empty notebook", 4, ("is no notebook that can be read",), {"mine.ipynb": "{}"}, ("--impl=mine.ipynb",)),
    Error("another kind of file", 4, ("mine.txt is not a Python file",), {"mine.txt": "x"}, ("--impl=./mine.txt",)),
    Error("in another folder", 4, ("--impl=../mine.py",), {"mine.py": GOOD, "deep/note.txt": ""}, here="deep"),
    Error("the file is in a folder", 4, ("--impl=src/mine.py",), {"src/mine.py": GOOD}),
    Error("--impl without a value", 4, ("--impl is empty", "./student.py"), command=("--impl",)),
    Error("an object that does not exist", 4, ("has no 'thing'", "It has: gelu"), command=("--impl=mine.py:thing",)),
    Error("a typo in a marker", 5, ("did you mean gelu?",), command=("--impl=mine", "-m", "gellu")),
    Error("a syntax error", 4, ("line 1", "def gelu(x)", "No check was run"), "def gelu(x)\n    return x\n"),
    Error("a half-typed file", 4, ("'(' was never closed", "No check was run"), f"{GOOD}def layer_norm(x,\n"),
    Error(
        "an error while importing",
        4,
        ("NameError", 'mine.py", line 2', "No check was run"),
        f"{TORCH}x = tprch.ones(1)\n",
    ),
    Error("a missing dependency", 4, ("python -m pip install einops_nope",), f"import einops_nope\n{GOOD}"),
    Error("sys.exit and nothing else", 4, ('if __name__ == "__main__":',), "import sys\nsys.exit(0)\n"),
    Error(
        "a loop without an end and nothing else",
        4,
        ('Put training and tests under `if __name__ == "__main__":`', "line 1", "--impl-timeout"),
        "while True: pass\n",
        ("--impl=mine", "--impl-timeout=1"),
    ),
    Error("an empty file", 4, ("offers no component", "def gelu(x): ...", "`plumbline init`"), ""),
    Error(
        "a name with capitals",
        4,
        ("LayerNorm is not checked; if it is meant as layer_norm, it must have that name",),
        f"{TORCH}def LayerNorm(x, weight, bias, eps):\n    return {NORM}\n",
    ),
    Error(
        "a name with a typo", 4, ("gleu is not checked; if it is meant as gelu",), GOOD.replace("gelu(x):", "gleu(x):")
    ),
    Error(
        "an instance, not a class",
        4,
        ("one module of one size", '@implements("layer_norm") above def build(config): return LayerNorm('),
        f"{TORCH}layer_norm = torch.nn.LayerNorm(8)\n",
    ),
    Error(
        "--impl-require with a typo",
        4,
        ("--impl-require names 'geluu'", "did you mean gelu?"),
        command=("--impl=mine", "--impl-require=geluu"),
    ),
    Error(
        "--impl-variant with a typo",
        4,
        ("did you mean erf? legal variants: gelu_tanh, erf",),
        command=("--impl=mine", "--impl-variant=gelu=erff"),
    ),
    Error(
        "--impl-variant without a component",
        4,
        ("component=variant", "gelu=erf"),
        command=("--impl=mine", "--impl-variant=erf"),
    ),
    Error(
        "an effort that is none",
        4,
        ("--impl-effort does not take 'quik'", "did you mean quick?"),
        command=("--impl=mine", "--impl-effort=quik"),
    ),
    Error(
        "a level of hints that is none",
        4,
        ("--impl-hints does not take 'lines'", "did you mean line?"),
        command=("--impl=mine", "--impl-hints=lines"),
    ),
    Error(
        "a number that is none",
        4,
        ("--impl-seed takes a whole number, not 'x'",),
        command=("--impl=mine", "--impl-seed=x"),
    ),
    Error(
        "a misspelt component as argument",
        4,
        ("there is no component 'layernorm'; did you mean layer_norm?",),
        command=("--impl=mine", "layernorm"),
    ),
    Error(
        "a misspelt check as argument",
        4,
        ("gelu has no check 'determinstic'; did you mean deterministic?",),
        command=("--impl=mine", "gelu::determinstic"),
    ),
    Error(
        "a wrong key in pyproject.toml",
        4,
        ("no key 'gleu'; did you mean gelu", "pyproject.toml"),
        {"mine.py": GOOD, "pyproject.toml": '[tool.plumbline]\ngleu = "erf"\n'},
    ),
    Error(
        "a wrong value in pyproject.toml",
        4,
        ('(write gelu = "erf")',),
        {"mine.py": GOOD, "pyproject.toml": '[tool.plumbline]\ngelu = "exact"\n'},
    ),
    Error(
        "pyproject.toml means impl",
        4,
        ("did you mean impl?",),
        {"mine.py": GOOD, "pyproject.toml": '[tool.plumbline]\nimpll = "mine"\n'},
        (),
    ),
    Error(
        "@implements for no component",
        4,
        ("there is no component 'layernorm'", "did you mean layer_norm"),
        f"from plumbline import implements\n{GOOD}@implements('layernorm')\ndef build(config): ...\n",
    ),
)

NUMBERS = "agrees_with_the_reference"
NORM_CLASS = """import torch
from plumbline import implements
class Norm(torch.nn.Module):
    def __init__(self, width, mesh):
        super().__init__()
    def forward(self, x):
        return x + 1
@implements("layer_norm")
def build(config):
    return Norm(config.width)
"""

JUDGED = (
    Error("a folder", 0, ("1 of 1 components implemented",), {"src/mine.py": GOOD}, ("--impl=./src",)),
    Error("sys.exit at the end", 0, ("mine.py is a script", "(line 5)"), f"{GOOD}import sys\nsys.exit(0)\n"),
    Error(
        "training while imported",
        0,
        ("mine.py is a script whose line 4 takes too long",),
        f"{GOOD}while True: pass\n",
        ("--impl=mine", "--impl-timeout=1"),
    ),
    Error(
        "too few arguments",
        0,
        ("not checked: it takes no weight.", "plumbline doctor mine"),
        "def layer_norm(x):\n    return x\n",
    ),
    Error(
        "too many arguments",
        0,
        ("not checked: it needs alpha.", "plumbline doctor mine"),
        "def gelu(x, alpha):\n    return x\n",
    ),
    Error(
        "nothing is returned",
        1,
        ("it returned None where gelu must return float[...]: is a `return` missing?",),
        f"{TORCH}def gelu(x):\n    y = {GELU}\n",
    ),
    Error("it prints instead", 1, ("is a `return` missing?",), f"{TORCH}def gelu(x):\n    print({GELU})\n"),
    Error(
        "a tuple is returned",
        1,
        ("it returned a tuple of 2", "return the first of them"),
        f"{TORCH}def gelu(x):\n    return {GELU}, None\n",
    ),
    Error(
        "a list is returned",
        1,
        ("it returned a list", "compute with tensors throughout"),
        f"{TORCH}def gelu(x):\n    return {GELU}.tolist()\n",
    ),
    Error("numpy is returned", 1, ("stay with torch",), f"{TORCH}def gelu(x):\n    return {GELU}.detach().numpy()\n"),
    Error(
        "the wrong shape",
        1,
        ("out has shape [1, 2], expected [1, 1, 2]",),
        f"{TORCH}def layer_norm(x, weight, bias, eps):\n    return {NORM}.mean(0)\n",
    ),
    Error(
        "a constructor that needs more",
        1,
        ("missing 1 required positional argument: 'mesh'", "mine.py:10, in build"),
        NORM_CLASS,
    ),
    Error(
        "a GPU that is not there",
        1,
        ("there is no GPU here: compute where the argument is (device=x.device)",),
        f"{TORCH}def gelu(x):\n    x = x.cuda()\n    return {GELU}\n",
    ),
    Error(
        "the argument is changed in place",
        1,
        ("something is changed in place", "make a new tensor instead"),
        f"{TORCH}def gelu(x):\n    y = {GELU}\n    with torch.no_grad():\n        x.copy_(y)\n    return y\n",
        ("--impl=mine", "gelu::every_argument_receives_a_gradient"),
    ),
    Error(
        "random without need",
        1,
        ("random generator",),
        f"{TORCH}def gelu(x):\n    return torch.nn.functional.dropout({GELU}, 0.1)\n",
        ("--impl=mine", "gelu::global_state_not_modified"),
    ),
    Error(
        "a loop without an end",
        1,
        (
            "gelu: one case took more than",  # of processor time, or of wall time where the machine is busy
            "Is there a loop that never ends?",
            "--impl-timeout=SECONDS",
        ),
        "def gelu(x):\n    while True:\n        pass\n",
        ("--impl=mine", "--impl-timeout=1", f"gelu::{NUMBERS}"),
    ),
    Error(
        "an undeclared legal form",
        1,
        ('activation = "gelu_erf" under', "--impl-variant=activation=gelu_erf"),
        f"{TORCH}def gelu(x):\n    return torch.nn.functional.gelu(x)\n",
        ("--impl=mine", f"gelu::{NUMBERS}"),
    ),
    Error(
        "an epsilon of their own",
        1,
        ("eps = 1e-6 under",),
        f"{TORCH}def layer_norm(x, weight, bias):\n    return {NORM.replace('eps', '1e-6')}\n",
        ("--impl=mine", f"layer_norm::{NUMBERS}"),
    ),
    Error(
        "their own error", 1, ("mine.py:2, in gelu", "has no attribute 'tahn'"), "def gelu(x):\n    return x.tahn()\n"
    ),
    Error(
        "a part that is to do is used",
        0,
        ("its act is to do (only `pass`, mine.py:2); write that first",),
        f"{TORCH}def act(x): pass\ndef gelu(x):\n    return 2 * act(x)\n",
    ),
    Error("nothing is written yet", 0, ("next: implement gelu",), "def gelu(x):\n    'my gelu'\n"),
)

COMMANDS = (
    Error("a misspelt subcommand", 4, ("invalid choice: 'dcotor'", "doctor"), command=("dcotor", "mine")),
    Error("explain of nothing there is", 4, ("did you mean layer_norm",), command=("explain", "layernorm")),
    Error("doctor of nothing there is", 4, ("did you mean mine?",), command=("doctor", "mien")),
    Error("init over a file", 4, ("mine.py exists. Use another name", "--force"), command=("init", "mine")),
    Error("watch without a file", 4, ("plumbline watch mymodel.py",), command=("watch",)),
    Error("replay of nothing kept", 4, ("no saved failure 'abc'", "there are: none"), command=("replay", "abc")),
)


def start(runs: Runs, folder: Path, error: Error, program: str, *more: str) -> Done:
    files = {"mine.py": error.files} if isinstance(error.files, str) else error.files
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return runs.start(folder / error.here, [*error.command, *more], program)


def check(done: Done, error: Error) -> None:
    flat = " ".join(done.output.split())
    assert done.code == error.code, done.output
    for text in error.told:
        assert text in flat, f"{text!r} is not in\n{done.output}"
    assert "INTERNALERROR" not in flat and f"{ROOT}/harness/" not in flat, done.output


@pytest.mark.parametrize("error", WRONG_USE, ids=lambda e: e.name)
def test_wrong_use(error: Error, runs: Runs, tmp_path: Path) -> None:
    """Nothing is judged, and the text says what to write instead."""
    more = ("--impl-cases=2",) if error.command != ("--impl",) else ()
    done = start(runs, tmp_path, error, "pytest", *more)
    check(done, error)
    assert "components =" not in done.output


@pytest.mark.parametrize("error", JUDGED, ids=lambda e: e.name)
def test_wrong_code(error: Error, runs: Runs, tmp_path: Path) -> None:
    """It is judged, and the failure says what to do about it."""
    more = (
        ()
        if "::" in error.command[-1]
        else (f"{'gelu' if 'def gelu' in str(error.files) else 'layer_norm'}::{NUMBERS}",)
    )
    check(start(runs, tmp_path, error, "pytest", "--impl-cases=2", "-q", *more), error)


@pytest.mark.parametrize("error", COMMANDS, ids=lambda e: e.name)
def test_wrong_commands(error: Error, runs: Runs, tmp_path: Path) -> None:
    """The command line says the same things."""
    check(start(runs, tmp_path, error, "plumbline"), error)


@pytest.mark.parametrize("name", ["harness.py", "specs/__init__.py"])
def test_a_file_named_like_ours_in_the_current_directory(name: str, tmp_path: Path) -> None:
    """It is left alone, and the text says which file stands in the way and how to go around it."""
    for file, text in (("mine.py", GOOD), (name, "MINE = True\n")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    plug = () if INSTALLED else ("-p", "plumbline")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plug, "--impl=mine"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    told = done.stdout + done.stderr
    assert done.returncode == 4 and str(tmp_path / name.partition("/")[0]) in told, told
    assert "Run from another directory, or use `pytest`" in told
