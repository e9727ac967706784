"""Tolerances of earlier runs: they make a run shorter, never other; a damaged file counts for nothing."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from harness.core.implementation import Answer
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging import kept_tolerances
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.kept_tolerances import KeptTolerances, cache_folder
from harness.numerics import tolerance as numerics
from harness.numerics.bounds import LazyBound

KNOWN = load_catalogue()
COMPONENT = "softmax"


def nearly(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Right but for a rounding, so that bounds are asked for."""
    return torch.softmax(x, dim) * (1 + 1e-13 * (x.dtype == torch.float64))


def doubled(x: torch.Tensor, dim: int) -> torch.Tensor:
    return 2 * torch.softmax(x, dim)


def judged(folder: Path, function=nearly, seed: int | None = 3):
    executor = Executor("theirs", {COMPONENT: FunctionAdapter(function)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=seed or 0)
    inspection.bench.kept = KeptTolerances(folder, seed)
    verdicts = [inspection.judge(COMPONENT, claim) for claim in KNOWN.claims_of(COMPONENT)[:4]]
    inspection.bench.kept.save()
    return [replace(verdict, seconds=0.0) for verdict in verdicts]


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The runs of the reference that tolerances are worked out from."""
    seen: list[object] = []
    moved = numerics._moved

    def counted(*arguments):
        seen.append(arguments)
        return moved(*arguments)

    monkeypatch.setattr(numerics, "_moved", counted)
    return seen


def test_a_second_run_says_the_same_and_works_nothing_out(tmp_path: Path, moves: list[object]) -> None:
    first = judged(tmp_path)
    assert moves and any(verdict.error for verdict in first)
    moves.clear()
    assert judged(tmp_path) == first and not moves


def test_code_that_became_wrong_is_seen(tmp_path: Path) -> None:
    """Nothing of an implementation is kept."""
    assert not judged(tmp_path)[0].failing
    assert judged(tmp_path, doubled)[0].failing
    assert not judged(tmp_path)[0].failing


def test_another_seed_has_another_file(tmp_path: Path) -> None:
    judged(tmp_path)
    known = KeptTolerances(tmp_path, 3).chosen.known
    judged(tmp_path, seed=4)
    assert len(list(tmp_path.iterdir())) == 3
    later = KeptTolerances(tmp_path, 4).chosen.known
    assert known and known.items() <= later.items(), "the telling set is the same for every seed"
    assert len(later) <= 1.5 * len(known), "beside other fresh cases, others may have the largest error"


def test_nothing_is_kept_of_a_seed_that_will_not_come_again(tmp_path: Path) -> None:
    """But the telling set is."""
    judged(tmp_path, seed=None)
    assert [file.name.rpartition("-")[2] for file in tmp_path.iterdir()] == ["chosen.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1]",
        b'{"form": 1}',
        b'{"form": 0, "bounds": {}}',
        b'{"form": 1, "bounds": {"a": "1"}}',
        b'{"form": 1, "bounds": {"a": -1.0}}',
        b'{"form": 1, "bounds": {"a": NaN}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_ignored_and_written_anew(tmp_path: Path, moves: list[object], content: bytes) -> None:
    kept = KeptTolerances(tmp_path, 3)
    kept.fresh.file.write_bytes(content)
    assert not KeptTolerances(tmp_path, 3).fresh.known
    if content == b"{":
        assert judged(tmp_path) == judged(tmp_path.parent / f"{tmp_path.name} fresh") and moves
        assert KeptTolerances(tmp_path, 3).fresh.known


def test_a_number_that_no_bound_can_be_is_not_used(tmp_path: Path, moves: list[object]) -> None:
    """A bound is at least what is known without working it out."""
    first = judged(tmp_path)
    file = KeptTolerances(tmp_path, 3).fresh.file
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "bounds": dict.fromkeys(values["bounds"], 0.0)}))
    moves.clear()
    assert judged(tmp_path) == first and moves


def test_two_processes_keep_what_both_found(tmp_path: Path) -> None:
    one, other = KeptTolerances(tmp_path, 3), KeptTolerances(tmp_path, 3)
    one.fresh.new["a"], other.fresh.new["b"] = 1.0, 2.0
    one.save()
    other.save()
    assert KeptTolerances(tmp_path, 3).fresh.known == {"a": 1.0, "b": 2.0}


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptTolerances(tmp_path / "file" / "below", 3)
    kept.fresh.new["a"] = 1.0
    kept.save()


def test_the_oldest_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_tolerances, "MOST_FILES", 3)
    for seed in range(5):
        kept = KeptTolerances(tmp_path, seed)
        kept.fresh.new["a"] = 1.0
        kept.save()
        os.utime(kept.fresh.file, (time.time() - 100 + seed,) * 2)
    assert sorted(file.stem.rpartition("-")[2] for file in tmp_path.iterdir()) == ["2", "3", "4"]


def test_the_file_depends_on_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = KeptTolerances(tmp_path, 3).fresh.file
    changed = tmp_path / "reference_model" / "softmax.py"
    changed.parent.mkdir()
    changed.write_text("x = 1\n")
    monkeypatch.setattr(kept_tolerances, "ROOT", tmp_path)
    names = set()
    for text in ("x = 1\n", "x = 2\n"):
        changed.write_text(text)
        kept_tolerances._depends_on.cache_clear()
        names.add(KeptTolerances(tmp_path, 3).fresh.file)
    kept_tolerances._depends_on.cache_clear()
    assert len({before, *names}) == 3


def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "tolerances"
    monkeypatch.delenv("PLUMBLINE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(kept_tolerances.sys, "platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "plumbline" / "tolerances"


def test_what_is_compared_exactly_stays_so(tmp_path: Path) -> None:
    exact = Answer((torch.tensor([1]),))
    known = KNOWN.contracts[COMPONENT].reference
    assert KeptTolerances(tmp_path, 3).beside(known, ("x",), (exact, Answer((None,))))[1].outputs == (None,)


def test_nothing_is_kept_of_a_reference_that_was_made_for_a_run(tmp_path: Path) -> None:
    """Its name says nothing of what it computes, and its address may be another one's in the next run."""

    def made(x: torch.Tensor) -> torch.Tensor:
        return x

    found = (Answer(), Answer((LazyBound(lambda: 1.0, lambda: 2.0),)))
    for reference in (made, lambda x: x, partial(KNOWN.contracts[COMPONENT].reference, dim=0)):
        assert KeptTolerances(tmp_path, 3).beside(reference, ("x",), found) is found
    assert KeptTolerances(tmp_path, 3).beside(KNOWN.contracts[COMPONENT].reference, ("x",), found) is not found


def test_the_keys_are_the_same_in_every_process(tmp_path: Path) -> None:
    """A file of two runs in two processes is no larger than one of one run."""
    program = (
        "import sys; from pathlib import Path; import test_kept_tolerances as t; t.judged(Path(sys.argv[1])); "
        "print(len(t.KeptTolerances(Path(sys.argv[1]), 3).fresh.known))"
    )
    folders = [str(Path(__file__).parent), str(kept_tolerances.ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    sizes = [int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout) for _ in range(2)]
    assert sizes[0] == sizes[1] > 3
