"""pytest-benchmark from outside: a user's folder, tables and files, and an ordinary run in which nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support_runs import Runs

from harness.pytest_plugin.benchmark_items import RecordedTimer

pytest.importorskip("pytest_benchmark")

MODEL = """
import torch

def linear(x, weight, bias):
    return torch.nn.functional.linear(x, weight, bias)

def gelu(x):
    return torch.nn.functional.gelu(x)

def softmax(x, dim=-1):
    raise NotImplementedError
"""
TIMED = ("--impl=mymodel", "--benchmark-only", "--impl-effort=quick", "--benchmark-max-time=0.05")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mymodel.py").write_text(MODEL)
    return tmp_path


def test_a_table_of_turns_and_files_that_are_compared(runs: Runs, folder: Path) -> None:
    """One item for each workload and contender, grouped; what else is known of each is kept beside its statistics."""
    done = runs.start(folder, [*TIMED, "linear", "--benchmark-json=out.json", "--benchmark-autosave"])
    assert done.code == 0, done.output
    assert (
        "benchmark 'linear::forward': 3 tests" in done.output
        and "benchmark 'linear::forward_backward': 3 tests" in done.output
    )
    assert "6 passed" in done.output and "components ==" not in done.output
    kept = {b["fullname"]: b for b in json.loads((folder / "out.json").read_text())["benchmarks"]}
    assert set(kept) == {
        f"linear::{w}[{c}]" for w in ("forward", "forward_backward") for c in ("yours", "reference", "F.linear")
    }
    for name, one in kept.items():
        assert one["group"] == name.partition("[")[0] and one["options"]["timer"].endswith("interleaved")
        info = one["extra_info"]
        assert (
            info["impl"] == "mymodel"
            and info["right"]
            and info["sizes"] == {"T": 256, "D": 512}
            and info["peak_bytes"] > 0
        )
        assert set(info["ratios"]) == ({"reference", "F.linear"} if "[yours]" in name else set())
    record = json.loads((folder / ".plumbline" / "bench.json").read_text())
    assert record["finished"] and [b["workload"] for b in record["benchmarks"]] == ["forward", "forward_backward"]
    for one in record["benchmarks"]:  # the very rounds: pytest-benchmark's median is ours
        for timing in one["timings"]:
            stats = kept[f"linear::{one['workload']}[{timing['contender']}]"]["stats"]
            assert stats["rounds"] == timing["rounds"] and stats["median"] == pytest.approx(timing["median"])
    done = runs.start(folder, [*TIMED, "linear::forward", "--benchmark-compare"])
    assert done.code == 0, done.output
    assert "forward[yours] (NOW)" in done.output and "forward[yours] (0001_" in done.output


def test_a_wrong_result_fails_and_the_others_stand(runs: Runs, folder: Path) -> None:
    done = runs.start(folder, [*TIMED, "-k", "gelu and forward and not backward"])
    assert done.code == 1
    assert "yours was not right after timing: out[0]" in done.output
    assert "1 failed, 2 passed" in done.output


@pytest.mark.parametrize("options", ([], ["--benchmark-skip"], ["--benchmark-enable"]))
def test_nothing_is_timed_in_an_ordinary_run(runs: Runs, folder: Path, options: list[str]) -> None:
    """Not even collected."""
    collected = runs.start(folder, ["--impl=mymodel", "linear", "--collect-only", "-q", *options]).output
    assert "[yours]" not in collected and "linear::agrees_with_the_reference" in collected


def test_a_workload_is_chosen_by_its_name(runs: Runs, folder: Path) -> None:
    collected = runs.start(folder, [*TIMED, "linear::forward", "--collect-only", "-q"]).output
    assert collected.count("linear::forward[") == 3 and "backward" not in collected
    wrong = runs.start(folder, [*TIMED, "linear::backwards"])
    assert wrong.code == 4 and "did you mean forward_backward?" in wrong.output


def test_under_xdist_one_line_says_that_nothing_is_timed(runs: Runs, folder: Path) -> None:
    pytest.importorskip("xdist")
    done = runs.start(folder, [*TIMED, "linear", "-n", "2"])
    assert done.code == 4 and "nothing is timed under -n" in done.output and "Traceback" not in done.output


def test_a_timer_tells_what_was_measured() -> None:
    timer = RecordedTimer()
    timer.seconds.extend((0.0, 0.25, 0.0, 0.5))
    readings = [timer() for _ in range(4)]
    assert [readings[1] - readings[0], readings[3] - readings[2]] == [0.25, 0.5]
