"""Bounds that are worked out when they are needed: never above the bound itself, and no verdict is another for it."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from harness.core.case import Case
from harness.core.implementation import Answer, Request
from harness.execution.caching import CachingImplementation
from harness.judging.catalogue import load_catalogue
from harness.judging.judge import Bench
from harness.judging.reference import reference_executor
from harness.numerics.bounds import LazyBound, PartialBound, accepts_everything, least_of, worked_out
from harness.numerics.compare import compare, is_within
from harness.numerics.tolerance import tolerances
from harness.strategies.sampling import draw

CONTRACTS = load_catalogue().contracts
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("component", ["layer_norm", "softmax", "gelu"])
def test_what_a_bound_is_at_least_is_never_above_it(component: str) -> None:
    reference = reference_executor({component: CONTRACTS[component]}, time_limit=0.0, trusted=True)

    def run(case: Case) -> Answer:
        return reference.run(Request(component, case, gradients=3))

    known = 0
    for case in draw(CONTRACTS[component].cases(), 5, 12):
        for dtype in DTYPES:
            _, tolerance = tolerances(run, case, dtype)
            for bound in (*tolerance.outputs, *tolerance.gradients.values()):
                if isinstance(bound, LazyBound):
                    assert bound.least <= bound.value
                    known += bound.least > 0
    assert known > 30


def test_where_the_reference_overflows_nothing_is_known_beforehand() -> None:
    """The bound of the other elements may be smaller than one of all elements."""

    def square(case: Case) -> Answer:
        return Answer((case.arguments["x"] * case.arguments["x"],))

    for dtype, x in ((torch.float16, [3.0, 300.0]), (torch.float32, [3.0, 1e30]), (torch.float64, [3.0, 1e200])):
        _, tolerance = tolerances(square, Case.of({"x": torch.tensor(x, dtype=torch.float64)}), dtype)
        assert least_of(tolerance.outputs) is None


def test_a_small_error_is_judged_without_moving_the_reference() -> None:
    moved = []

    def half(case: Case) -> Answer:
        return Answer((0.5 * case.arguments["x"],))

    def counted(case: Case) -> Answer:
        moved.append(case)
        return half(case)

    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    exact, tolerance = tolerances(half, Case.of({"x": x}), torch.float64, counted)
    assert is_within((0.5 * x * (1 + 1e-16),), exact.outputs, tolerance.outputs) and not moved
    assert not is_within((0.5001 * x,), exact.outputs, tolerance.outputs) and len(moved) == 3


def test_sums_and_multiples_stay_unworked() -> None:
    worked: list[float] = []

    def lazy(least: float, value: float) -> LazyBound:
        return LazyBound(lambda: least, lambda: worked.append(value) or value)  # type: ignore[func-returns-value]

    total = sum([2 * lazy(1.0, 4.0), lazy(2.0, 3.0)]) + 0.5
    assert least_of((total,)) == (4.5,) and not worked
    assert float(total) == 11.5 and least_of((total,)) is None
    tensor = torch.tensor([10.0, 12.0])
    assert (tensor <= total).tolist() == [True, False] and (tensor / lazy(1.0, 2.0)).tolist() == [5.0, 6.0]
    assert max(lazy(1.0, 2.0), 5.0) == 5.0 and math.isfinite(lazy(1.0, 2.0)) and lazy(1.0, 2.0) * -1 == -2.0


def test_a_bound_that_says_nothing_of_some_elements_is_one_when_it_is_worked_out() -> None:
    bound = LazyBound(lambda: 0.0, lambda: PartialBound(0.1, torch.tensor([False, True])))
    assert compare(torch.tensor([1.0, 9.0]), torch.tensor([1.0, 2.0]), bound).fine
    assert not compare(torch.tensor([2.0, 2.0]), torch.tensor([1.0, 2.0]), 2 * bound).fine
    assert not accepts_everything((bound,)) and isinstance(worked_out(2 * bound), PartialBound)


def worst_error(component: str, change: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype) -> float:
    """The largest error over all cases, every bound worked out."""
    reference = reference_executor({component: CONTRACTS[component]}, time_limit=0.0, trusted=True)
    found = []
    for case in draw(CONTRACTS[component].cases(), 4, 10):
        exact, tolerance = tolerances(lambda one: reference.run(Request(component, one)), case, dtype)
        given = reference.run(Request(component, case.cast(dtype)))
        bounds = tuple(map(worked_out, tolerance.outputs))
        found.append(compare(tuple(map(change, given.outputs)), exact.outputs, bounds).ratio)
    return max(found)


@pytest.mark.parametrize(
    ("claim", "dtype", "unit"),
    [("agrees_with_the_reference", torch.float64, 2e-13), ("accurate_in_float32", torch.float32, 1e-6)],
)
def test_the_error_that_is_reported_is_the_largest_of_all_cases(claim: str, dtype: torch.dtype, unit: float) -> None:
    """Bounds are worked out for those cases only whose error may be the largest so far."""

    def change(out: torch.Tensor) -> torch.Tensor:
        return out * (1 + unit) if out.dtype == dtype else out

    contracts = {"softmax": CONTRACTS["softmax"]}
    reference = CachingImplementation(reference_executor(contracts, time_limit=0.0, trusted=True))

    class Changed:
        name, components = "changed", ("softmax",)

        def offers(self, component: str) -> object:
            return reference.offers(component)

        def run(self, request: Request) -> Answer:
            answer = reference.run(replace(request, fresh=False))
            return replace(answer, outputs=tuple(map(change, answer.outputs)))

    bench = Bench(contracts, Changed(), reference, seed=4, cases=10)
    chosen = next(c for c in load_catalogue().claims_of("softmax") if c.name == claim)
    verdict, _ = bench.judge(CONTRACTS["softmax"], chosen, shrink=False)
    assert not verdict.failing and verdict.error == pytest.approx(worst_error("softmax", change, dtype), rel=1e-6)
    assert verdict.error and verdict.error > 0.01
