"""What pyproject.toml says of a run, read before anything of ours is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import plumbline


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_the_nearest_file_that_has_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upwards from where the run starts; a file without the table is passed by."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    written(tmp_path, '[tool.plumbline]\nimpl = "mymodel"\ngelu = "erf"\n')
    inner = written(tmp_path / "a" / "b", "[tool.other]\nx = 1\n")
    assert plumbline._project(inner) == ({"impl": "mymodel", "gelu": "erf"}, str(tmp_path / "pyproject.toml"))
    assert str(tmp_path) in sys.path, "a module is found from where pyproject.toml stands"


@pytest.mark.parametrize("impl", ["model.py", "src/model.py", "./model.py:thing"])
def test_a_file_is_named_from_where_the_table_stands(impl: str, tmp_path: Path) -> None:
    """Wherever the run starts."""
    written(tmp_path, f'[tool.plumbline]\nimpl = "{impl}"\n')
    (tmp_path / "deep").mkdir()
    assert plumbline._project(tmp_path / "deep")[0]["impl"] == str(tmp_path / impl)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the line that is wrong."""
    written(tmp_path, "[tool.plumbline\n")
    with pytest.raises(ValueError, match=r"pyproject.toml cannot be read: .*line 1"):
        plumbline._project(tmp_path)


def test_a_misspelt_key_is_no_silence() -> None:
    """Without an implementation nothing of ours is loaded, so its own keys are compared here."""
    assert "did you mean impl?" in plumbline._misspelt({"imp": "mymodel"}, "pyproject.toml")
    assert plumbline._misspelt({"gelu": "erf", "cases": 5}, "pyproject.toml") == ""
