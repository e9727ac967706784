"""``plumbline bench``: what is printed, what is written, what is wrong use; sizes are small, and no second is asked
for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support_workloads import small

from harness.benchmark.machine import Rates
from harness.cli import main
from harness.commands import bench
from harness.core.record import VERSION
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.reports import json_file

RIGHT = (
    "import torch\n\ndef gelu(x):\n    return torch.nn.functional.gelu(x, approximate='tanh')\n\n"
    "def mlp(*a):\n    raise NotImplementedError\n"
)
WRONG = RIGHT.replace("approximate='tanh'", "approximate='none'")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, and a catalogue in which all that is timed is small."""
    known = load_catalogue()
    contracts = {
        name: replace(c, workloads=tuple(small(name, w, axes=True) for w in c.workloads))
        for name, c in known.contracts.items()
    }
    smaller = Catalogue(contracts, known.claims, known.mistakes)
    for module in ("harness.judging.loading.load_catalogue", "harness.commands.bench.load_catalogue"):
        monkeypatch.setattr(module, lambda: smaller)
    monkeypatch.setattr(bench, "rates", lambda *_: Rates(1e9, 1e9))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    return tmp_path


def ran(*arguments: str, code: int = 0) -> None:
    assert main(["bench", *arguments]) == code


def test_a_table_and_a_record(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """Both workloads of the component, the machine, and the file that was written."""
    ran("right.py", "gelu", "--seconds", "0.02")
    out = capsys.readouterr().out
    assert "gelu, forward: GELU of every number (T 6, D 16)" in out and "gelu, forward_backward" in out
    assert "F.gelu" in out and "memory as T grows (6 to 24)" in out
    assert out.strip().endswith("record: .plumbline/bench.json")
    record = json_file.read(folder / ".plumbline" / "bench.json")
    assert record.finished and [b.workload for b in record.benchmarks] == ["forward", "forward_backward"]
    assert (
        record.impl == "right.py"
        and record.machine["dtype"] == "float32"
        and record.machine["operations_per_second"] == 1e9
    )


def test_a_wrong_result_is_exit_code_1(capsys: pytest.CaptureFixture) -> None:
    """However fast it was, it is told and beside nobody."""
    ran("wrong.py", "gelu::forward", "--quick", code=1)
    out = capsys.readouterr().out
    assert "yours was not right after timing" in out and "yours (wrong)" in out
    assert "yours takes" not in out


def test_what_is_to_do_is_one_line(capsys: pytest.CaptureFixture) -> None:
    ran("right.py", "--quick", "--seconds", "0.02")
    lines = capsys.readouterr().out.splitlines()
    assert sum("mlp" in line for line in lines) == 1
    assert any(line.startswith("to do, so not timed: ") for line in lines)


def test_the_record_is_whole_after_every_workload(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """An interruption in the second keeps the first, and says so."""
    times = iter((None, KeyboardInterrupt()))
    inner = bench.Inspection.timed

    def timed(self: Any, *arguments: Any, **options: Any) -> Any:
        problem = next(times)
        if problem is not None:
            raise problem
        return inner(self, *arguments, **options)

    monkeypatch.setattr(bench.Inspection, "timed", timed)
    ran("right.py", "gelu", "--quick", "--seconds", "0.02")
    record = json_file.read(folder / ".plumbline" / "bench.json")
    assert not record.finished and [b.workload for b in record.benchmarks] == ["forward"]
    assert "interrupted" in capsys.readouterr().err


def test_compared_with_an_earlier_run(folder: Path, capsys: pytest.CaptureFixture) -> None:
    ran("right.py", "gelu::forward", "--quick", "--seconds", "0.02", "--report", "old.json")
    ran("right.py", "gelu", "--quick", "--seconds", "0.02", "--compare", "old.json")
    out = capsys.readouterr().out
    assert "compared with old.json:" in out and "gelu, forward_backward: new, nothing to compare with" in out
    assert json.loads((folder / "old.json").read_text())["version"] == VERSION


def test_faces_are_written(folder: Path, capsys: pytest.CaptureFixture) -> None:
    ran("right.py", "gelu::forward", "--quick", "--seconds", "0.02", "--report", "html:page.html,json,markdown")
    assert "gelu" in (folder / "page.html").read_text()
    assert "html: page.html" in capsys.readouterr().out and (folder / ".plumbline" / "bench.json").exists()


def test_the_list_says_what_beside_whom_at_which_sizes(capsys: pytest.CaptureFixture) -> None:
    """Nothing is timed, and no implementation is needed."""
    ran("--list", "kv_cache")
    out = capsys.readouterr().out
    assert "kv_cache::step" in out and "for T = 6, 12, 18, 24" in out and "compared with: without a cache" in out
    assert "gelu" not in out
    ran("--list")
    assert capsys.readouterr().out.count("::forward") >= 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        ((), "no implementation to time: plumbline bench mymodel.py"),
        (("right.py", "gelo"), "there is no component 'gelo'; did you mean gelu"),
        (("right.py", "gelu::forwards"), "gelu has no workload 'forwards'; did you mean forward"),
        (("right.py", "trainer"), "trainer has no workload; these have: "),
        (("right.py", "--seconds", "0"), "--seconds must be more than 0, not 0"),
        (("right.py", "--compare", "none.json"), "--compare: none.json is not the record of a run"),
        (("right.py", "--report", "htm"), "--report: 'htm' is neither"),
    ),
)
def test_wrong_use_says_what_to_do(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture) -> None:
    ran(*arguments, code=4)
    assert said in capsys.readouterr().err
