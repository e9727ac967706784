"""Notebooks as Python: which lines stay, and where each stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.notebook import cell_of, read_notebook, shown_line


def notebook(folder: Path, *cells: str) -> Path:
    """A file with these code cells, each below a cell of text."""
    path = folder / "lesson.ipynb"
    both = [({"cell_type": "markdown", "source": "#"}, {"cell_type": "code", "source": cell}) for cell in cells]
    path.write_text(json.dumps({"cells": [cell for pair in both for cell in pair]}))
    return path


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("x = 1\ny = 2", "x = 1\ny = 2"),
        ("%matplotlib inline\nx = 1", "\nx = 1"),
        ("!pip install torch\nx = 1", "\nx = 1"),
        ("%%time\nx = 1", "\nx = 1"),
        ("if x:\n    !ls\ny = 2", "if x:\n    pass\ny = 2"),
        ("files = !ls\ntorch.softmax?", "\n"),
        ("x = (5\n% 3)", "x = (5\n% 3)"),
        ("%%bash\nls -la\nx=3", "\n\n"),
        ("this is no Python", ""),
        ("# is it?\nx = 1", "# is it?\nx = 1"),
    ],
)
def test_commands_of_ipython_are_left_out_in_their_places(tmp_path: Path, cell: str, kept: str) -> None:
    """So that every line keeps its number."""
    assert read_notebook(notebook(tmp_path, cell)).source == f"{kept}\n"


def test_every_line_knows_its_cell(tmp_path: Path) -> None:
    """Cells are counted with those of text; lines as the cell has them."""
    path = str(notebook(tmp_path, "a = 1\nb = 2", "c = 3"))
    assert [cell_of(path, line) for line in (1, 2, 3)] == [(2, 1), (2, 2), (4, 1)]
    assert shown_line(path, 3, short=True) == "lesson.ipynb, cell 4, line 1" and shown_line("a.py", 3) == "a.py:3"


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"cells": 3}'])
def test_what_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lesson.ipynb").write_text(text)
    with pytest.raises(ValueError):
        read_notebook(tmp_path / "lesson.ipynb")
