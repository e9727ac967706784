"""A component that draws random numbers need not answer twice alike; what it must not do stays forbidden."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Dialect, Signature
from harness.core.implementation import Request
from harness.core.record import Status
from harness.execution.dialects import dialect_of
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.judge import Bench

CALL = {"call": Signature((Argument("x", "float[width]"),), "float[width]")}
CASE = Case.of({"x": torch.ones(3, dtype=torch.float64)})
CLAIMS = {claim.name: claim for claim in load_catalogue().claims_of("gelu")}


def noisy(x):
    return x + torch.rand(3, dtype=x.dtype)


def noisy_and_changing_the_default(x):
    torch.set_default_dtype(torch.float64)
    return noisy(x)


def contract(**options) -> Contract:
    return Contract(
        "noise", "Adds noise.", CALL, noisy, lambda: st.just(CASE), differentiable=False, agrees=False, **options
    )


def test_claims_about_two_calls_are_not_made_of_it():
    """Nor is it asked to leave the generators alone; a switch that it turns is still told."""
    for name in ("deterministic", "no_memory_of_earlier_calls"):
        assert CLAIMS[name].needs(contract()) and not CLAIMS[name].needs(contract(draws=True))

    def status(function, whole):
        executor = Executor("theirs", {"noise": FunctionAdapter(function)}, {"noise": whole})
        bench = Bench({"noise": whole}, executor, executor)
        return bench.judge(whole, CLAIMS["global_state_not_modified"], shrink=False, only=(CASE,))[0].status

    assert status(noisy, contract()) == Status.FAILED
    assert status(noisy, contract(draws=True)) == Status.PASSED
    assert status(noisy_and_changing_the_default, contract(draws=True)) == Status.FAILED


def test_a_dialect_of_it_goes_on_drawing():
    """Generators are put back after a function that builds a module and throws it away, not after this one."""
    for draws in (False, True):
        whole = contract(
            draws=draws, dialects=(Dialect("a course", "run_noise", ("values",), lambda a: {"values": a["x"]}),)
        )
        adapter = dialect_of(whole, {"run_noise": lambda values: noisy(values)}.get)
        twice = CASE.followed_by(*CASE.calls)
        one, two = Executor("theirs", {"noise": adapter}, {"noise": whole}).run(Request("noise", twice)).outputs
        assert torch.equal(one, two) is not draws
