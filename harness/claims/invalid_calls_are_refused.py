"""What the contract forbids ends in an error, not in a wrong number."""

from harness.core.claim import About, Claim, Trial, Violation


def refuses(trial: Trial) -> None:
    answer = trial.attempt(fresh=True)
    if answer.crash is None:
        raise Violation(f"it accepts {trial.case.family} without an error; it must raise one")


def swallows_errors(call, method, arguments, request):
    try:
        return call(arguments)
    except Exception:
        return 0.0


CLAIM = Claim(
    "invalid_calls_are_refused",
    "a call that the contract forbids raises an error",
    refuses,
    needs=lambda contract: contract.invalid is not None,
    sabotage=swallows_errors,
    tags=frozenset({"invalid"}),
    aliases=("refuses_what_is_forbidden",),
    about=frozenset({About.FORM}),
)
