"""Claims about float16 where the reference itself overflows."""

from collections.abc import Callable

import pytest
import torch

from harness.claims.accurate_in_half_precision import CLAIM
from harness.core.case import Case
from harness.core.implementation import Answer, Crash, CrashKind, Offer, Request
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.judge import Bench

CONTRACTS = {"gelu": load_catalogue().contracts["gelu"]}
Function = Callable[[torch.Tensor], torch.Tensor]


class Squares:
    """An implementation of one function of x; bfloat16, which does not overflow here, may be refused."""

    name, components = "squares", ("gelu",)

    def __init__(self, function: Function, bfloat16: bool = False) -> None:
        self.function, self.bfloat16 = function, bfloat16

    def offers(self, component: str) -> Offer:
        return Offer(component)

    def run(self, request: Request) -> Answer:
        x = request.case.arguments["x"]
        if x.dtype == torch.bfloat16 and not self.bfloat16:
            return Answer((), crash=Crash(CrashKind.RAISED, "TypeError", "no bfloat16"))
        return Answer((self.function(x),))


def square(x: torch.Tensor) -> torch.Tensor:
    return x * x


def wrong_below_ten(x: torch.Tensor) -> torch.Tensor:
    return torch.where((x.abs() < 10) & (x.dtype == torch.float16), 1.25 * x * x, x * x)


@pytest.mark.parametrize(
    ("function", "x", "status"),
    [
        (square, [3.0, 300.0], Status.PASSED),
        (lambda x: x.square().nan_to_num(), [3.0, 300.0], Status.PASSED),
        (wrong_below_ten, [3.0, 300.0], Status.FAILED),
        (wrong_below_ten, [300.0, 400.0], Status.NOT_APPLICABLE),
        (square, [300.0, 400.0], Status.NOT_APPLICABLE),
    ],
)
def test_only_elements_at_which_the_reference_overflows_are_left_out(
    function: Function, x: list[float], status: Status
) -> None:
    """Where all of them do, the case says nothing: it neither passes nor fails."""
    bench = Bench(CONTRACTS, Squares(function), Squares(square, bfloat16=True), cases=2)
    case = Case.of({"x": torch.tensor(x, dtype=torch.float64)})
    verdict, _ = bench.judge(CONTRACTS["gelu"], CLAIM, shrink=False, only=(case,))
    assert verdict.status is status, verdict.message


def test_bfloat16_alone_is_judged_where_float16_overflows_throughout() -> None:
    bench = Bench(CONTRACTS, Squares(square, bfloat16=True), Squares(square, bfloat16=True), cases=2)
    case = Case.of({"x": torch.tensor([300.0], dtype=torch.float64)})
    assert bench.judge(CONTRACTS["gelu"], CLAIM, shrink=False, only=(case,))[0].status is Status.PASSED
