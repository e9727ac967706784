"""One notion of what belongs to Python and to installed distributions, for crashes, lines and discovery alike."""

import os
import sys
from pathlib import Path

import pytest
import torch

from harness.core.library_files import is_library_file
from harness.execution.own_files import OwnFiles


@pytest.mark.parametrize(
    ("file", "library"),
    [
        (os.__file__, True),
        (torch.__file__, True),
        ("<frozen importlib._bootstrap>", True),
        ("/elsewhere/lib/python3.9/site-packages/theirs/model.py", True),
        ("<string>", False),
        ("/elsewhere/project/model.py", False),
        (str(Path(sys.prefix) / "model.py"), False),  # ``python -m venv .`` in the folder of the project
        (str(Path(sys.prefix) / "project" / "model.py"), False),
    ],
)
def test_what_is_a_library(file: str, library: bool) -> None:
    """Wherever the environment lies."""
    assert is_library_file(file) is library
    assert library or file.startswith("<") or file in OwnFiles(list)


def test_a_link_into_a_library_is_one(tmp_path: Path) -> None:
    """By the file that it leads to."""
    (tmp_path / "linked.py").symlink_to(torch.__file__)
    assert is_library_file(str(tmp_path / "linked.py"))
