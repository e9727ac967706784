"""The folder is the registry, and an empty seat is an error."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import RegistryError, UsageError
from harness.core.registry import scan


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


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
WITH_AN_EMPTY_SHEET = """
import sys
import specs
specs.__path__.append(sys.argv.pop(1))
if sys.argv[1] == "plumbline":
    from harness.cli import main
else:
    from pytest import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "command",
    [("plumbline", "list"), ("pytest", "-p", "harness.pytest_plugin.plugin", "--impl=reference_model", "--co", "-q")],
    ids=lambda command: command[0],
)
def test_a_sheet_without_a_contract_is_a_usage_error(command, tmp_path) -> None:
    """Exit code 4, one line that names the file and what it must define, no traceback."""
    (tmp_path / "unfinished.py").write_text('"""A sheet that was begun."""\n')
    script = [sys.executable, "-c", WITH_AN_EMPTY_SHEET, str(tmp_path), *command]
    done = subprocess.run(
        script, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )
    text = done.stdout + done.stderr
    assert done.returncode == 4, text
    assert f"{tmp_path / 'unfinished.py'} must define CONTRACT (a Contract); it does not." in text
    assert "Traceback" not in text and "INTERNALERROR" not in text
    assert issubclass(RegistryError, UsageError)
