"""Code that does not finish, where no claim is being judged: that is reported, and ends nothing else."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim, NotSupported, Violation
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.judge import Bench

CALL = {"call": Signature((Argument("x", "float[width]"),), "float[width]")}


def case(width: int) -> Case:
    return Case.of({"x": torch.ones(width, dtype=torch.float64)})


def hangs_on_one(x: torch.Tensor) -> torch.Tensor:
    while x.numel() == 1:
        pass
    return x + 1


def take(trial) -> Measurement:
    return Measurement(f"{trial.run().value.numel()} numbers", "counted", 1.0)


def bench_of(function, *measures: Measure, strategy=lambda: st.integers(1, 9).map(case)) -> tuple[Bench, Contract]:
    contract = Contract("plus", "Adds one.", CALL, lambda x: x + 1, strategy, agrees=False, measures=measures)
    executors = [
        Executor(name, {"plus": FunctionAdapter(code)}, {"plus": contract}, time_limit=0.2)
        for name, code in (("theirs", function), ("the reference", lambda x: x + 1))
    ]
    return Bench({"plus": contract}, *executors), contract


def test_a_measurement_that_runs_out_of_time_is_reported() -> None:
    """What was to be measured, of what, that time ran out, and after how many seconds."""
    measure = Measure("size", "how many", take, cases=lambda: st.just(case(1)))
    bench, contract = bench_of(hangs_on_one, measure, strategy=lambda: st.integers(2, 9).map(case))
    assert bench.measure(contract, measure) is None
    (note,) = bench.not_measured
    assert note.startswith("size of plus was not measured: ") and note.endswith(" s)"), note
    assert "one case took more than" in note, note


def refuse(trial) -> Measurement:
    raise NotSupported("it has no such method")


def fail(trial) -> Measurement:
    raise Violation("3 numbers came back for 2")


def crash(x: torch.Tensor) -> torch.Tensor:
    raise OverflowError("too many")


@pytest.mark.parametrize(
    ("function", "take", "said"),
    [
        (lambda x: x + 1, refuse, None),
        (lambda x: x + 1, take, None),
        (lambda x: x + 1, fail, "3 numbers came back for 2"),
        (crash, take, "too many"),
    ],
)
def test_what_failed_on_the_way_is_reported_and_what_does_not_apply_is_not(function, take, said) -> None:
    """A method that is not there is nothing to measure; an error is one, and no claim need have seen it."""
    measure = Measure("size", "how many", take)
    bench, contract = bench_of(function, measure)
    bench.measure(contract, measure)
    assert [said in note for note in bench.not_measured] == ([True] if said else [])


def test_looking_for_a_smaller_case_ends_with_one_that_never_returns() -> None:
    """The failure is reported all the same, with the case found before."""

    def is_small(trial) -> None:
        if trial.run().value.numel() >= 3:
            raise Violation("it is large")

    bench, contract = bench_of(hangs_on_one, strategy=lambda: st.integers(2, 9).map(case))
    claim = Claim("small", "it is small", is_small, cases=lambda: st.integers(1, 9).map(case))
    started = time.monotonic()
    verdict, _ = bench.judge(contract, claim, shrink=True, only=(case(9),))
    assert verdict.status == Status.FAILED and verdict.message == "it is large"
    assert time.monotonic() - started < 30
