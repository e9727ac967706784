"""One workload measured: what is wrong makes no ratio, work is what is compared, and whoever cannot take part is named.

Where a ratio is asked for, the clock counts the numbers that were worked on: seconds of a busy machine prove nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support_workloads import implementation, named, reference, workloads

from harness.benchmark import timing
from harness.benchmark.machine import Rates
from harness.benchmark.running import REFERENCE, YOURS, Measured, measure
from harness.core.contract import Contract
from harness.core.workload import Benchmark, Law, Workload
from harness.judging.catalogue import load_catalogue

ALL = [(component, workload) for component, workload in workloads() if component != "rslora"]  # lora's, another scale
FAST, SLOW_MACHINE = Rates(1e18, 1e18), Rates(1.0, 1.0)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not beside a reference_model of another copy (that of a clone, where the wheel is what is tested)."""
    monkeypatch.chdir(tmp_path)


def measured(impl: str, component: str, workload: Workload, **options: Any) -> Benchmark:
    return outcome(impl, component, workload, **options).benchmark


def outcome(impl: str, component: str, workload: Workload, **options: Any) -> Measured:
    given = {"seconds": 0.02, "axes": False, **options}
    contract: Contract = load_catalogue().contracts[component]
    executor: Any = implementation(impl).implementation
    return measure(contract, workload, executor, reference(), **given)


def in_file(folder: Path, text: str) -> str:
    (folder / "theirs.py").write_text(textwrap.dedent(text))
    return str(folder / "theirs.py")


@pytest.mark.parametrize(("component", "workload"), ALL, ids=[f"{c}-{w.name}" for c, w in ALL])
def test_everybody_who_takes_part_is_right(component: str, workload: Workload) -> None:
    """The reference as implementation, and every peer that is installed, give what the contract asks for; none is
    left out silently."""
    result = measured("reference_model", component, workload)
    assert result.wrong == {}
    out = {t.contender for t in result.timings}
    assert {YOURS, REFERENCE} <= out
    for peer in workload.peers:
        assert peer in out or any(note.startswith(f"{peer} is left out: ") for note in result.notes)
    assert {r.beside for r in result.ratios} == out - {YOURS}
    assert all(r.contender == YOURS for r in result.ratios)
    assert set(result.throughput) == out


# right and wrong -----------------------------------------------------------------------------------------------------

WRONG = {
    "a result that was not computed": ("gelu", "forward", "def gelu(x):\n    return x", "out[0]"),
    "a shape": ("gelu", "forward", "def gelu(x):\n    return x[:1]", "shape"),
    "an argument changed": (
        "gelu",
        "forward",
        "import torch\ndef gelu(x):\n    y = torch.nn.functional.gelu(x, approximate='tanh')\n"
        "    x.zero_()\n    return y",
        "it changed its argument x in place",
    ),
    "a gradient": (
        "gelu",
        "forward_backward",
        "import torch\ndef gelu(x):\n    y = torch.nn.functional.gelu(x, approximate='tanh')\n"
        "    return y.detach() + x - x.detach()",
        "the gradient of x",
    ),
    "a gradient that never comes": (
        "linear",
        "forward_backward",
        "import torch\ndef linear(x, weight, bias):\n    return x @ weight.detach().T + bias",
        "it gives no gradient for weight",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_and_makes_no_ratio(tmp_path: Path, what: str) -> None:
    """However fast."""
    component, name, text, said = WRONG[what]
    result = measured(in_file(tmp_path, text), component, named(component, name, axes=True), axes=True)
    assert said in result.wrong[YOURS]
    assert result.ratios == () and result.exponents == () and YOURS not in result.throughput
    assert YOURS in {t.contender for t in result.timings}


def test_a_quantizer_is_judged_by_what_comes_back(tmp_path: Path) -> None:
    """Codes are its own business; a number that comes back too far off is not."""
    text = """
        import torch

        class quantize_int8:
            def quantize(self, x, axis=None, block=None, symmetric=True):
                scale = x.abs().amax(axis, keepdim=True) / STEPS
                return torch.round(x / scale).to(torch.int8), scale, torch.zeros_like(scale, dtype=torch.int32)

            def dequantize(self, q, scale, zero, block=None):
                return q.float() * scale
    """
    workload = replace(named("quantize_int8", "there_and_back"), peers={})
    assert measured(in_file(tmp_path, text.replace("STEPS", "127")), "quantize_int8", workload).wrong == {}
    coarse = measured(in_file(tmp_path, text.replace("STEPS", "31")), "quantize_int8", workload)
    assert "times what is allowed" in coarse.wrong[YOURS]


def test_an_optimizer_in_eight_bits_stays_near_adamw(tmp_path: Path) -> None:
    text = "from reference_model.adamw_8bit import adamw_8bit as it\n\n\nclass adamw_8bit(it):\n    pass\n"
    workload = replace(named("adamw_8bit", "step"), peers={})
    assert YOURS not in measured(in_file(tmp_path, text), "adamw_8bit", workload).wrong
    backwards = text.replace("    pass", "    def step(self, grads):\n        return super().step([-g for g in grads])")
    assert (
        "learning rates from where AdamW in 32 bits takes it"
        in measured(in_file(tmp_path, backwards), "adamw_8bit", workload).wrong[YOURS]
    )


# how much ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock counts the numbers that ``gelu``, the reference's or somebody's, was called on."""
    worked = [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: worked[0], thread_time=lambda: 0.0))
    return worked


def gelu_that_counts(
    counted: list[float], work: Callable[[torch.Tensor], float]
) -> Callable[[torch.Tensor], torch.Tensor]:
    def gelu(x: torch.Tensor) -> torch.Tensor:
        counted[0] += work(x)
        return torch.nn.functional.gelu(x, approximate="tanh")

    return gelu


def beside(counted: list[float], theirs: Any, ours: Any, workload: Workload, **options: Any) -> Benchmark:
    """Two functions as implementation and reference."""
    from harness.execution.executor import Executor
    from harness.execution.functions import FunctionAdapter

    contracts = load_catalogue().contracts
    executors = [Executor("it", {"gelu": FunctionAdapter(f)}, contracts, trusted=True) for f in (theirs, ours)]
    options = {"seconds": 1e9, "axes": False, **options}
    return measure(contracts["gelu"], replace(workload, peers={}), *executors, **options).benchmark


def test_thrice_the_work_is_thrice_as_much(counted: list[float]) -> None:
    """Every round, so that the interval is a point and excludes 1."""
    once, thrice = (gelu_that_counts(counted, lambda x, n=n: n * x.numel()) for n in (1, 3))
    result = beside(counted, thrice, once, named("gelu", "forward"))
    (ratio,) = result.ratios
    assert (ratio.contender, ratio.beside) == (YOURS, REFERENCE)
    assert [ratio.times.low, ratio.times.value, ratio.times.high] == pytest.approx([3.0] * 3)
    assert result.throughput[REFERENCE] == pytest.approx(3 * result.throughput[YOURS])


def test_growth_is_told_beside_its_law(counted: list[float]) -> None:
    """Work that grows with the square of T where T is the law, and memory that follows it."""
    square, linear = (
        gelu_that_counts(counted, lambda x: float(len(x) ** 2)),
        gelu_that_counts(counted, lambda x: float(len(x))),
    )
    workload = replace(named("gelu", "forward", axes=True), sizes={"T": 64, "D": 16}, axes={"T": (64, 128, 256, 512)})
    workload = replace(workload, laws=(Law("T", 1, 1, "each alone"),))
    result = beside(counted, square, linear, workload, axes=True)
    found = {(e.contender, e.of): e for e in result.exponents}
    assert set(found) == {(YOURS, "time"), (YOURS, "memory"), (REFERENCE, "time"), (REFERENCE, "memory")}
    assert found[YOURS, "time"].value.value == pytest.approx(2, abs=0.05) and found[YOURS, "time"].law == 1
    assert "quadratic where the law is 1" in found[YOURS, "time"].told
    assert found[REFERENCE, "time"].told.endswith("as it should (each alone)")
    assert found[YOURS, "memory"].value.value == pytest.approx(1, abs=0.05)
    assert {t.sizes["T"] for t in result.timings if t.contender == YOURS} == {64, 128, 256, 512}


def test_memory_is_that_of_the_call() -> None:
    """What GELU returns is as large as what it is given; the reference holds more than torch's kernel."""
    workload = replace(named("gelu", "forward"), sizes={"T": 64, "D": 64})
    peaks = {t.contender: t.peak_bytes for t in measured("reference_model", "gelu", workload).timings}
    assert peaks["F.gelu"] == 64 * 64 * 4 and peaks[REFERENCE] == peaks[YOURS] > peaks["F.gelu"]


def test_a_share_of_the_roofline_beyond_what_can_be_makes_no_ratio() -> None:
    workload = replace(named("gelu", "forward"), peers={})
    within, beyond = (measured("reference_model", "gelu", workload, rates=r) for r in (FAST, SLOW_MACHINE))
    assert all(0 < t.share_of_roofline < 1 for t in within.timings) and within.ratios
    assert all(t.share_of_roofline > 1 for t in beyond.timings)
    assert not beyond.ratios and not beyond.throughput and beyond.wrong == {}
    assert "yours is faster than this machine was measured to be: no ratio is made of it" in beyond.notes


# who does not take part ----------------------------------------------------------------------------------------------


def test_what_is_to_do_is_a_note(tmp_path: Path) -> None:
    found = outcome(in_file(tmp_path, "def gelu(x):\n    raise NotImplementedError"), "gelu", named("gelu", "forward"))
    result = found.benchmark
    assert (found.not_timed,) == result.notes and not found.left_out
    assert result.timings == () and len(result.notes) == 1 and result.notes[0].startswith("not timed: to do")


def test_a_peer_whose_library_is_missing_is_left_out() -> None:
    def make(case: Any) -> Any:
        import no_such_library_of_kernels  # noqa: F401

    workload = replace(named("gelu", "forward"), peers={"quick kernels": make, "none": lambda case: None})
    found = outcome("reference_model", "gelu", workload)
    result = found.benchmark
    assert {t.contender for t in result.timings} == {YOURS, REFERENCE}
    assert set(found.left_out) == {"quick kernels", "none"} and not found.not_timed
    assert "quick kernels is left out: No module named 'no_such_library_of_kernels'" in result.notes
    assert "none is left out: its library is not installed here, or cannot do it" in result.notes


def test_who_raises_on_the_way_is_told_with_what(tmp_path: Path) -> None:
    """After some calls that went well; the others go on."""
    text = """
        import torch
        CALLS = []

        def gelu(x):
            CALLS.append(1)
            if len(CALLS) > 3:  # two calls to warm up and one round are made however busy the machine is
                raise MemoryError("the last of it is gone")
            return torch.nn.functional.gelu(x, approximate="tanh")
    """
    result = measured(in_file(tmp_path, text), "gelu", named("gelu", "forward"), seconds=3.0)
    assert "yours stopped: MemoryError: the last of it is gone" in result.notes
    assert {"F.gelu", REFERENCE} <= {t.contender for t in result.timings}


def test_a_bias_that_they_have_not_is_left_out_for_all(tmp_path: Path) -> None:
    """Everybody does the same work."""
    text = """
        from torch import nn

        class MLP(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc = nn.Linear(width, 4 * width, bias=False)
                self.proj = nn.Linear(4 * width, width, bias=False)

            def forward(self, x):
                return self.proj(nn.functional.gelu(self.fc(x), approximate="tanh"))
    """
    result = measured(in_file(tmp_path, text), "mlp", named("mlp", "forward_backward"))
    assert result.wrong == {} and {r.beside for r in result.ratios} == {REFERENCE, "torch's kernels"}
