"""A contract with another usual epsilon."""

from dataclasses import replace

from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.values import Settings
from harness.project.epsilon import with_eps

EPS = Argument("eps", "float", role="setting", optional=True, default=1e-5)
CONFIG = Argument(
    "config",
    "config",
    role="setting",
    fields=(
        Argument("width", "int", role="setting"),
        Argument("norm_eps", "float", "setting", True, default=1e-5),
    ),
)


def contract(*arguments: Argument, **values: object) -> Contract:
    def cases() -> st.SearchStrategy[Case]:
        return st.just(Case.of(dict(values)))

    own = Claim("own", "it holds", lambda trial: None, cases=cases)
    calls = {"call": Signature(arguments, "float[...]")}
    return Contract("norm", "A norm.", calls, print, cases, invalid=cases, claims=(own,))


def drawn(strategy: st.SearchStrategy[Case]) -> dict:
    found = []
    from hypothesis import given, settings

    @settings(max_examples=1, database=None)
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(dict(case.arguments))

    collect()
    return found[0]


def test_the_usual_epsilon_is_exchanged_everywhere() -> None:
    """As an argument's default and in every case, those that must be refused and those of a claim too."""
    changed = with_eps(contract(EPS, eps=1e-5), 1e-6)
    assert changed.calls["call"].arguments[0].default == 1e-6
    assert changed.invalid is not None and changed.claims[0].cases is not None
    for cases in (changed.cases, changed.invalid, changed.claims[0].cases):
        assert drawn(cases())["eps"] == 1e-6


def test_another_epsilon_stays() -> None:
    """It is drawn for code that takes one."""
    assert drawn(with_eps(contract(EPS, eps=0.1), 1e-6).cases())["eps"] == 0.1


def test_a_record_of_settings_is_looked_into() -> None:
    """And its other numbers are left alone, equal or not."""
    changed = with_eps(contract(CONFIG, config=Settings(width=4, norm_eps=1e-5, other=1e-5)), 1e-6)
    assert drawn(changed.cases())["config"].as_dict() == {"width": 4, "norm_eps": 1e-6, "other": 1e-5}
    assert changed.calls["call"].arguments[0].fields[1].default == 1e-6


def test_a_contract_without_one_is_the_same() -> None:
    """Nothing is wrapped for nothing."""
    plain = contract(Argument("x", "float[...]"), x=1e-5)
    assert with_eps(plain, 1e-6) is plain


def test_what_else_a_signature_says_stays() -> None:
    """Whether it returns objects, or its own tensors."""
    plain = contract(EPS, eps=1e-5)
    live = replace(plain, calls={"call": replace(plain.calls["call"], live=True, objects=True)})
    moved = with_eps(live, 1e-6).calls["call"]
    assert moved.live and moved.objects and moved.arguments[0].default == 1e-6
