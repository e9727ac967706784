"""What a submission is, what is copied of it, and what may not stand in it."""

from __future__ import annotations

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.grading.submissions import copied, find, forbidden, submission


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_files_and_folders_by_name(tmp_path: Path) -> None:
    """A file, a folder with one module, one with an entry; other files are told of, links are not followed."""
    written(tmp_path, alice="x = 1\n", bob__model="x = 2\n", carol__a="", carol__mymodel="")
    (tmp_path / "grades.txt").write_text("?")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link.py").symlink_to("/etc/hostname")
    found, skipped = find(tmp_path)
    assert [(one.name, one.entry, bool(one.problem)) for one in found] == [
        ("alice", "alice.py", False),
        ("bob", "model.py", False),
        ("carol", "", True),
    ]
    assert skipped == ["grades.txt", "link.py"]
    assert "2 Python files (a.py, mymodel.py)" in found[2].problem
    found, _ = find(tmp_path, "mymodel.py")
    assert [bool(one.problem) for one in found] == [False, True, False]
    assert found[1].problem == "it has no mymodel.py; it has model.py"


def test_nothing_and_two_of_one_name_are_wrong_use(tmp_path: Path) -> None:
    """Both would be silent otherwise."""
    with pytest.raises(UsageError, match="has no submission"):
        find(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        find(tmp_path / "absent")
    written(tmp_path, alice="", alice__model="")
    with pytest.raises(UsageError, match="two submissions named alice: alice and alice"):
        find(tmp_path)


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    """Not of times, places or caches."""
    one = submission(written(tmp_path / "1" / "bob", model="x = 1\n", parts="y = 2\n"), "model.py")
    same = submission(written(tmp_path / "2" / "bob", parts="y = 2\n", model="x = 1\n"), "model.py")
    written(tmp_path / "2" / "bob", __pycache____parts="junk")
    assert one.digest == same.digest == submission(tmp_path / "2" / "bob", "model.py").digest
    assert (
        one.digest != submission(written(tmp_path / "3" / "bob", model="x = 1\n", other="y = 2\n"), "model.py").digest
    )
    assert (
        one.digest != submission(written(tmp_path / "4" / "bob", model="x = 1\ny", parts=" = 2\n"), "model.py").digest
    )


def test_what_is_copied(tmp_path: Path) -> None:
    """Regular files, under a name that is safe on a command line; a package as a package."""
    work = tmp_path / "work"
    work.mkdir()
    folder = written(tmp_path / "in" / "b ob;x", mymodel="x = 1\n", deep__er="y\n")
    (folder / "secret").symlink_to("/etc/hostname")
    assert copied(submission(folder, "mymodel.py"), work) == "./b_ob_x/mymodel.py"
    assert sorted(p.relative_to(work).as_posix() for p in work.rglob("*.py")) == [
        "b_ob_x/deep/er.py",
        "b_ob_x/mymodel.py",
    ]
    assert not (work / "b_ob_x" / "secret").exists()
    package = written(tmp_path / "in" / "pack")
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert copied(submission(package), work) == "./pack"
    assert copied(submission(written(tmp_path / "in", a_b="") / "a_b.py"), work) == "./a_b.py"


@pytest.mark.parametrize(
    "line",
    [
        "import reference_model",
        "from reference_model.gelu import gelu",
        "import reference_model.gelu as g",
        "import importlib; importlib.import_module('reference_model.gelu')",
        "__import__('reference_model')",
        "import sys\nx = sys.modules\ny = reference_model.gelu",
    ],
)
def test_what_may_not_be_used(line: str, tmp_path: Path) -> None:
    """Told with file and line; nothing is run."""
    written(
        tmp_path, mine=f"import math\n{line}\n", good="import reference_models\nfrom . import specs\n", bad="def f(:\n"
    )
    told = forbidden(submission(tmp_path / "mine.py"), ("reference_model",))
    assert told.startswith("mine.py:") and "uses reference_model, which this assignment forbids" in told
    assert forbidden(submission(tmp_path / "good.py"), ("reference_model", "specs")) == ""
    assert forbidden(submission(tmp_path / "bad.py"), ("reference_model",)) == "", "its import will tell"


def test_a_part_of_torch_may_be_forbidden(tmp_path: Path) -> None:
    """By its dotted name, however it is imported."""
    for line in (
        "import torch\nx = torch.nn.functional.gelu",
        "import torch.nn.functional as F",
        "from torch.nn import functional",
    ):
        path = written(tmp_path, mine=line) / "mine.py"
        assert "torch.nn.functional" in forbidden(submission(path), ("torch.nn.functional",))
    assert (
        forbidden(
            submission(written(tmp_path, mine="import torch\nx = torch.nn.Linear") / "mine.py"),
            ("torch.nn.functional",),
        )
        == ""
    )


def test_one_thread_parses_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11 raises SystemError where two threads are inside its parser at once."""
    inside, most, parse = [], [], ast.parse

    def slow(source: bytes) -> ast.Module:
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.02)
        inside.remove(threading.get_ident())
        return parse(source)

    monkeypatch.setattr(ast, "parse", slow)
    (tmp_path / "mine.py").write_text("import torch\n")
    one = submission(tmp_path / "mine.py")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: forbidden(one, ("specs",)), range(8))) == {""}
    assert most == [1] * 8
