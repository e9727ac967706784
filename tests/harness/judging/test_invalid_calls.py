"""Code that raises whatever it is given has refused nothing."""

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.reference import reference_executor

KNOWN = load_catalogue()
CLAIM = next(claim for claim in KNOWN.claims_of("attention") if claim.name == "invalid_calls_are_refused")


def status(executor: Executor) -> Status:
    inspection = Inspection(KNOWN, executor, seed=0, cases=4)
    return inspection.bench.judge(KNOWN.contracts["attention"], CLAIM, shrink=False)[0].status


def test_a_function_that_always_raises_is_not_judged() -> None:
    """It raises for valid calls too: no green without a judgement. With another signature it is not called at all."""

    def raises(*arguments):
        raise ValueError("no")

    wrong = Executor("wrong", {"attention": FunctionAdapter(raises)}, KNOWN.contracts)
    assert status(wrong) == Status.NOT_APPLICABLE
    misfit = Executor("misfit", {"attention": FunctionAdapter(lambda x: x)}, KNOWN.contracts)
    assert status(misfit) == Status.NOT_CHECKED
    assert status(reference_executor(KNOWN.contracts)) == Status.PASSED
