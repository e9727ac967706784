"""Which files belong to an implementation, and which components a change touches."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.commands._watching import Source, Unfinished, files_of, read, stamps, touched

MODEL = """
import torch
import helper
from plumbline import implements

SCALE = 2

def shifted(x):
    return x + 1

def gelu(x):
    return helper.squash(x) * SCALE

def layer_norm(x):
    return shifted(x)

@implements("mlp")
def build(config):
    return Feed()

class Feed:
    def forward(self, x):
        return gelu(x)
"""
HELPER = "def squash(x):\n    return x\n\ndef other(x):\n    return x\n"
COMPONENTS = ("gelu", "layer_norm", "mlp", "block", "lora")
PARTS = {"mlp": ("gelu",), "block": ("mlp", "layer_norm")}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path / "model.py"


def changed(model: Path, file: str, old: str, new: str) -> set[str]:
    before = read(files_of(model))
    path = model.with_name(file)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return touched(before, read(files_of(model)), COMPONENTS, PARTS)


def test_the_files_are_those_that_it_imports_from_its_own_folder(model: Path) -> None:
    """Directly or not; of a package all; nothing that is installed, nothing that merely lies beside it."""
    assert [file.name for file in files_of(model)] == ["model.py", "helper.py"]
    package = model.parent / "pkg"
    (package / "deep").mkdir(parents=True)
    for file in ("__init__.py", "a.py", "deep/b.py"):
        (package / file).write_text("")
    assert {f.relative_to(package).as_posix() for f in files_of(package / "__init__.py")} == {
        "__init__.py",
        "a.py",
        "deep/b.py",
    }


def test_a_change_touches_what_refers_to_it_and_what_stands_on_that(model: Path) -> None:
    """Through helpers, other files, constants and factories. What may be anywhere (lora, block) comes along."""
    assert changed(model, "model.py", "x + 1", "x + 2") == {"layer_norm", "block", "lora"}
    assert changed(model, "helper.py", "def squash(x):\n    return x", "def squash(x):\n    return -x") >= {
        "gelu",
        "mlp",
        "block",
    }
    assert "layer_norm" not in changed(model, "model.py", "SCALE = 2", "SCALE = 3")
    assert changed(model, "model.py", "def forward(self, x):", "def forward(self, y):") >= {"mlp", "block"}


def test_what_means_the_same_touches_nothing(model: Path) -> None:
    """A comment, an empty line."""
    assert changed(model, "model.py", "SCALE = 2", "# twice\n\nSCALE  =  2") == set()


def test_a_statement_outside_of_everything_touches_all(model: Path) -> None:
    """It may do anything."""
    assert changed(model, "model.py", "SCALE = 2", "SCALE = 2\ntorch.set_default_dtype(torch.float64)") == set(
        COMPONENTS
    )


def test_a_component_that_is_new_or_gone(model: Path) -> None:
    """Written for the first time, or taken out: it is judged, and what stands on it."""
    assert "lora" in changed(model, "model.py", "SCALE = 2", "SCALE = 2\ndef lora(x): pass")
    assert "gelu" in changed(model, "model.py", "def gelu(x)", "def gelu_old(x)")


def test_half_typed_code_is_told_with_its_line(model: Path) -> None:
    """And files that are not there have a stamp."""
    model.write_text("def gelu(x:\n    pass\n")
    with pytest.raises(Unfinished, match=r"model.py, line 1: .* never closed"):
        read([model])
    assert stamps([model.with_name("gone.py")]) == {model.with_name("gone.py"): (0, 0)}
    assert touched(Source(), Source(), COMPONENTS, PARTS) == set()
