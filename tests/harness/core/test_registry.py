"""The folder is the registry, and an empty seat is an error."""

import importlib
import sys

import pytest

from harness.core.registry import RegistryError, scan


def test_files_are_found_and_helpers_are_not(tmp_path, monkeypatch) -> None:
    """Every file's object by name; files that start with an underscore are left out; a file without one is named."""
    folder = tmp_path / "seats"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("SEAT = 1\n")
    (folder / "_helper.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    package = importlib.import_module("seats")
    assert scan(package, "SEAT", int) == {"one": 1}
    (folder / "two.py").write_text("SEAT = 'wrong'\n")
    importlib.invalidate_caches()
    with pytest.raises(RegistryError, match=r"two\.py must define SEAT"):
        scan(package, "SEAT", int)
    del sys.modules["seats"]
