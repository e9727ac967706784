"""A component that draws random numbers need not answer twice alike; what it must not do stays forbidden."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract, Dialect, Signature, Variant
from harness.core.implementation import Request
from harness.core.quorum import at_least
from harness.core.record import Status
from harness.execution.dialects import dialect_of
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.cases import GeneratedCases
from harness.judging.catalogue import load_catalogue
from harness.judging.judge import Bench
from harness.strategies.sampling import draw

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


def sized_contract(case_count: int, **options) -> Contract:
    """One number per case, from 0 to 99."""
    call = {"call": Signature((Argument("x", "float[width]"), Argument("n", "int", "setting")), "float[width]")}
    sizes = st.integers(0, 99).map(lambda n: Case.of({"x": torch.ones(2, dtype=torch.float64), "n": n}, n=n))
    return Contract("sized", "Multiplies.", call, lambda x, n: x * n, lambda: sizes, case_count=case_count, **options)


def cases_for(function, contract: Contract, count: int | None = None, **variants: str) -> GeneratedCases:
    contracts = {"sized": contract}
    implementation = Executor("theirs", {"sized": FunctionAdapter(function)}, contracts)
    reference = Executor("reference", {"sized": FunctionAdapter(contract.reference)}, contracts)
    return GeneratedCases(
        contracts,
        implementation,
        reference,
        seed=0,
        count=count,
        effort="default",
        variants=variants,
        note=lambda *_: None,
    )


def test_cases_that_are_left_out_are_made_up_for():
    """A class that takes even sizes alone is judged over as many cases as one that takes them all."""

    def even_only(x, n):
        if n % 2:
            raise NotSupported("odd")
        return x * n

    contract = sized_contract(10)
    generated = cases_for(even_only, contract)
    cases = generated.of(contract)
    assert len(cases) == 10 and all(case.dimensions["n"] % 2 == 0 for case in cases)
    given = generated.given["sized"]
    assert set(given.given) == set(cases) and set(given.reasons()) == {"odd"}


def test_cases_without_an_optional_parameter_that_cannot_be_given_are_made_up_for():
    """Also where none of the few that were generated first can be given: that is not a crash over None."""

    def large_only(x, n, bias=None):
        if n < 95:
            raise NotSupported("too small")
        return x * n

    bias = Argument("bias", "float[width]", "parameter", optional=True)
    plain = sized_contract(10)
    call = {"call": Signature((*plain.calls["call"].arguments, bias), "float[width]")}
    bare = plain.cases().map(lambda case: Case.of({**case.calls[0].arguments, "bias": None}, **case.dimensions))
    contract = replace(plain, calls=call, reference=large_only, cases=lambda: bare)
    generated = cases_for(large_only, contract, count=2)
    assert not any(case.dimensions["n"] >= 95 for case in draw(bare, 0, 2)), "these were chosen to be refused"
    assert [case.dimensions["n"] >= 95 for case in generated.of(contract)] == [True] * 2


def test_cases_that_a_declared_form_does_not_allow_are_made_up_for():
    """Also where it allows none of the few that were generated first; all stay where it allows none at all."""

    def middle_only(x, n):
        if n not in range(20, 60):
            raise ValueError("too small or too large")
        return x * n

    form = Variant("middle", "Numbers are of middle size.", (), axis="size")
    contract = replace(sized_contract(2, variants=(form,)), reference=middle_only)
    first = draw(contract.cases(), 0, 2)
    assert not any(case.dimensions["n"] in range(20, 60) for case in first), "these were chosen to be refused"
    none = contract.cases().filter(lambda case: case.dimensions["n"] not in range(20, 60))
    for strategy, fits in ((contract.cases, True), (lambda: none, False)):
        whole = replace(contract, cases=strategy)
        for claim in (None, replace(CLAIMS["deterministic"], cases=strategy, max_cases=2)):
            cases = cases_for(middle_only, whole, sized="middle").of(whole, claim)
            assert [case.dimensions["n"] in range(20, 60) for case in cases] == [fits] * 2


def test_one_of_the_cases_can_tell_where_any_can():
    """A size that few cases have is looked for, and takes the place of another case."""
    large = at_least("ninety or more", n=90)
    plain, telling = sized_contract(4), sized_contract(4, quorum=(large,))
    first = cases_for(lambda x, n: x * n, plain).of(plain)
    chosen = cases_for(lambda x, n: x * n, telling).of(telling)
    assert not any(map(large.tells, first)) and sum(map(large.tells, chosen)) == 1
    assert len(chosen) == len(first) == 4 and [c.key for c in chosen[:3]] == [c.key for c in first[:3]]
