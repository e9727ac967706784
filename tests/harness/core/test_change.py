"""Changes of files as data: the patch, and several changes as one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.core.change import Change, merged

TEXT = "one\ntwo\nthree\nfour\nfive\n"


def change(*pairs: tuple[str, str], file: str = "a.py") -> Change:
    after = TEXT
    for old, new in pairs:
        after = after.replace(old, new)
    return Change(file, TEXT, after)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("\n"), TEXT + "héllo\n"])
def test_git_takes_the_patch(tmp_path: Path, text: str) -> None:
    """Also where the file ends without a line break."""
    file = tmp_path / "folder" / "a.py"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    one = Change(str(file), text, text.replace("five", "5"))
    (tmp_path / "p.patch").write_text(one.diff(tmp_path), encoding="utf-8")
    subprocess.run(["git", "apply", "p.patch"], cwd=tmp_path, check=True)
    assert file.read_text(encoding="utf-8") == one.after


def test_nothing_changed_is_no_patch() -> None:
    assert change().diff() == ""


def test_changes_of_different_lines_are_one_change() -> None:
    """In one file, in several, and the same change twice."""
    two, four, other = change(("two", "2")), change(("four", "4")), change(("one", "1"), file="b.py")
    found = merged([two, four, other, two])
    assert found == (change(("two", "2"), ("four", "4")), other)


def test_changes_of_one_line_are_not() -> None:
    assert merged([change(("two", "2")), change(("two", "zwei"))]) is None


def test_lines_may_come_and_go() -> None:
    found = merged([change(("two\n", "")), change(("four\n", "four\nmore\n"))])
    assert found is not None and found[0].after == "one\nthree\nfour\nmore\nfive\n"
