"""A call that the contract forbids raises an error; it does not return a wrong number."""

from typing import Any

from harness.claims._sabotage import Arguments, Call
from harness.core.claim import About, Claim, Trial, Violation
from harness.core.implementation import Request


def invalid_calls_are_refused(trial: Trial) -> None:
    answer = trial.attempt(fresh=True)
    if answer.crash is None:
        raise Violation(f"it accepts {trial.case.family} without an error; it must raise one")
    if all(trial.attempt(case).crash is not None for case in trial.companions):
        trial.not_applicable()  # it raises for valid calls too: that it raises here says nothing


def swallows_errors(call: Call, method: str, arguments: Arguments, request: Request) -> Any:
    try:
        return call(arguments)
    except Exception:
        return 0.0


CLAIM = Claim(
    "invalid_calls_are_refused",
    "a call that the contract forbids raises an error",
    invalid_calls_are_refused,
    needs=lambda contract: contract.invalid is not None,
    sabotage=swallows_errors,
    tags=frozenset({"invalid"}),
    aliases=("refuses_what_is_forbidden",),
    about=frozenset({About.FORM}),
)
