"""What was found is written down, and what a person corrects there is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.note import NoteCode
from harness.discovery import map_file
from harness.discovery.search import discover
from harness.judging.catalogue import load_catalogue
from harness.modules.adapter import mapping_table

KNOWN = load_catalogue().contracts
STYLES = Path(__file__).parents[2] / "styles"

ODD = '''
import torch
from torch import nn

class Mixer(nn.Module):
    """A layer norm whose parameters are named like nothing."""
    def __init__(self, d_model):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(d_model))
        self.omega = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return nn.functional.layer_norm(x, x.shape[-1:], self.alpha, self.omega)
'''


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text((STYLES / "book.py").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def rows(path: Path, component: str) -> list[tuple[str, ...]]:
    found = discover(str(path), KNOWN)
    return [tuple(row) for row in mapping_table(found.adapters[component], KNOWN[component])]


def test_it_says_what_is_found_anyway(model: Path) -> None:
    """With the file as it was written, nothing is plugged otherwise than without it."""
    found = discover(str(model), KNOWN)
    before = {name: (rows(model, name), a.notes) for name, a in found.adapters.items()}
    written = map_file.write(model.parent, model.name, found.adapters)
    assert written == (model.parent / map_file.FILE, True)
    again = discover(str(model), KNOWN)
    assert {name: (rows(model, name), a.notes) for name, a in again.adapters.items()} == before


def test_what_is_there_stays_unless_asked(model: Path) -> None:
    """A corrected entry survives another look; ``refresh`` replaces it; other implementations keep theirs."""
    adapters = discover(str(model), KNOWN).adapters
    path = model.parent / map_file.FILE
    path.write_text('["other.py".gelu]\nskip = true\n', encoding="utf-8")
    map_file.write(model.parent, model.name, adapters)
    corrected = path.read_text(encoding="utf-8").replace('"trf_blocks.0.norm1"', '"final_norm"')
    path.write_text(corrected, encoding="utf-8")
    assert map_file.write(model.parent, model.name, adapters) == (path, False)
    assert path.read_text(encoding="utf-8") == corrected
    map_file.write(model.parent, model.name, adapters, refresh=True)
    text = path.read_text(encoding="utf-8")
    assert '"final_norm"' not in text and '["other.py".gelu]' in text and text.count('["model.py".gpt2]') == 1


def test_a_place_that_is_corrected_is_used(model: Path) -> None:
    path = model.parent / map_file.FILE
    path.write_text(
        '["model.py".layer_norm]\ninside = "final_norm"\nof = "GPTModel"\nnames = {weight = "scale", bias = "shift"}\n',
        encoding="utf-8",
    )
    assert "final_norm" in discover(str(model), KNOWN).adapters["layer_norm"].notes[0]


def test_names_that_tell_nothing_are_said_once(tmp_path: Path) -> None:
    """A class of any name, with parameters of any names."""
    path = tmp_path / "odd.py"
    path.write_text(ODD, encoding="utf-8")
    with pytest.raises(UsageError):
        discover(str(path), KNOWN)
    (tmp_path / map_file.FILE).write_text(
        '["odd.py".layer_norm]\nclass = "Mixer"\nnames = {weight = "omega", bias = "alpha"}\n', encoding="utf-8"
    )
    assert [row[:2] for row in rows(path, "layer_norm")] == [("weight", "omega"), ("bias", "alpha")]


def test_what_is_skipped_is_to_do(model: Path) -> None:
    (model.parent / map_file.FILE).write_text('["model.py".gelu]\nskip = true\n', encoding="utf-8")
    found = discover(str(model), KNOWN)
    assert "gelu" not in found.adapters and [note.code for note in found.notes if note.component == "gelu"] == [
        NoteCode.SKIPPED
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["model.py".gleu]\nskip = true', "did you mean gelu"),
        ('["model.py".gelu]\nskpi = true', "did you mean skip"),
        ('["model.py".gelu]\nskip = "yes"', "true or false"),
        ('["model.py".gelu]\nlayout = "columns"', "in_out"),
        ('["model.py".gpt2]\nclass = "GPTModle"', "did you mean GPTModel"),
        ('["model.py".mlp]\ninside = "trf_blocks.0.fff"\nof = "GPTModel"', "trf_blocks.0.ff"),
        ('["model.py".gpt2.names]\ntoken_embedding = "nowhere.weight"', "nowhere.weight"),
        ('["model.py".gelu\n', "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_nearest(model: Path, text: str, said: str) -> None:
    """Each names the file and what to write instead."""
    (model.parent / map_file.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=map_file.FILE.replace(".", r"\.")) as refused:
        discover(str(model), KNOWN)
    assert said in str(refused.value)
