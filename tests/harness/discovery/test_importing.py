"""The implementation's files as they stand when they are imported."""

from pathlib import Path

from harness.discovery.importing import load
from harness.discovery.locate import locate


def imported(file: Path) -> int:
    _, found = load(locate(f"{file}:number"))
    assert isinstance(found, int)
    return found


def test_a_file_corrected_at_once_is_compiled_anew(tmp_path: Path) -> None:
    """Python's cache goes by size and whole second, which the correction of one sign leaves as they are."""
    file = tmp_path / "corrected.py"
    for right in range(1, 4):
        file.write_text(f"number = {right}\n")
        assert imported(file) == right
    assert list(tmp_path.iterdir()) == [file]


def test_so_is_the_package_it_lies_in(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "part.py").write_text("from . import NUMBER\n\nnumber = NUMBER\n")
    for right in range(1, 4):
        (folder / "__init__.py").write_text(f"NUMBER = {right}\n")
        assert imported(folder / "part.py") == right
