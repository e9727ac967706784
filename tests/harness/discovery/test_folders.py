"""A folder of files as one implementation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.errors import ImportFailed, UsageError
from harness.core.note import NoteCode
from harness.discovery.search import discover
from harness.judging.catalogue import load_catalogue

CONTRACTS = load_catalogue().contracts
NORM = """
import torch
from torch import nn
class LayerNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), eps
    def forward(self, x):
        return nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder; what a test imports from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def written(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return str(folder)


def test_the_files_of_a_folder_are_judged_together(folder: Path) -> None:
    """Functions, classes, scripts; each imports the others as it likes."""
    text = written(
        folder,
        parts="def gelu(x): return x\n",
        norms=NORM,
        run="from parts import gelu\nfrom norms import LayerNorm\ndef f(): ...\ngelu(1).backward()\n",
        test_parts="def softmax(x, dim): ...\n",
    )
    found = discover(text, CONTRACTS)
    assert set(found.adapters) == {"gelu", "layer_norm"} and found.name == folder.name
    assert [note.code for note in found.notes] == [NoteCode.LIFTED, NoteCode.FOUND_IN_CLASSES]


def test_files_may_import_each_other_relatively(folder: Path) -> None:
    found = discover(
        written(folder, parts="def gelu(x): ...\n", run="from .parts import gelu\ndef f(): ...\n"), CONTRACTS
    )
    assert set(found.adapters) == {"gelu"}


def test_of_two_definitions_the_first_counts_and_the_other_is_told(folder: Path) -> None:
    found = discover(written(folder, a="def gelu(x): ...\n", b="def gelu(x): ...\n"), CONTRACTS)
    assert found.adapters["gelu"].source.__code__.co_filename.endswith("a.py")
    assert found.notes[0].text == "defined more than once, and not checked: gelu of b.py (that of a.py counts)"


def test_a_file_that_cannot_be_imported_is_left_out_and_told(folder: Path) -> None:
    found = discover(
        written(folder, a="def gelu(x): ...\n", b="import nowhere_at_all\ndef softmax(x): ...\n"), CONTRACTS
    )
    assert set(found.adapters) == {"gelu"} and "b.py is not checked, since it cannot be imported" in found.notes[0].text


def test_where_none_can_be_imported_the_first_says_why(folder: Path) -> None:
    with pytest.raises(ImportFailed, match="nowhere_at_all"):
        discover(written(folder, b="import nowhere_at_all\ndef softmax(x): ...\n"), CONTRACTS)


def test_declarations_of_every_file_count(folder: Path) -> None:
    """Decorators and dictionaries."""
    declared = "from plumbline import implements\n@implements('gelu', variant='erf')\ndef build(config): ...\n"
    switches = "PLUMBLINE = {'variants': {'softmax': 'x'}}\ndef softmax(x, dim): ...\n"
    assert discover(written(folder, a=declared), CONTRACTS).variants == {"gelu": "erf"}
    with pytest.raises(UsageError, match="softmax"):
        discover(written(folder, b=switches), CONTRACTS)


def test_two_folders_with_files_of_one_name_are_two(folder: Path) -> None:
    """As where submissions are judged one after the other."""
    for name, component in (("one", "gelu"), ("two", "softmax")):
        (folder / name).mkdir()
        written(folder / name, parts=f"def {component}(x, dim=-1): ...\n", run="import parts\ndef f(): ...\n")
        assert set(discover(str(folder / name), CONTRACTS).adapters) == {component}


def test_classes_that_a_file_imports_from_another_of_theirs_are_theirs(folder: Path) -> None:
    """``train.py`` has ``from model import GPT``."""
    written(folder, norms=NORM, run="from norms import LayerNorm\n")
    assert set(discover(str(folder / "run.py"), CONTRACTS).adapters) == {"layer_norm"}
