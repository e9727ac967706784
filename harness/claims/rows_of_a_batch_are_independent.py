"""One row alone gives what it gives in its batch."""

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def rows_of_a_batch_are_independent(trial: Trial) -> None:
    rows = trial.contract.rows
    batch = trial.case.arguments[rows[0]].shape[0]
    if batch < 2:
        trial.not_applicable()
    whole = trial.run().value
    for row in (0, batch - 1):
        alone = trial.case.changed(**{name: trial.case.arguments[name][row : row + 1] for name in rows})
        bound = trial.spread_of_value() + trial.spread_of_value(alone)
        trial.close(trial.run(alone).value, whole[row : row + 1], bound, f"row {row} alone, out")


CLAIM = Claim(
    "rows_of_a_batch_are_independent",
    "a row alone gives the same output as in its batch",
    rows_of_a_batch_are_independent,
    needs=lambda contract: bool(contract.rows),
    sabotage=lambda call, method, arguments, request: _sabotage.floats(
        call(arguments), lambda out: out + 0.1 * out.mean(0, keepdim=True) + 0.01 * out.shape[0]
    ),
    structural=True,
    about=frozenset({About.CONSISTENCY}),
)
