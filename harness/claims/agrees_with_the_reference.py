"""Meaning: the numbers are the reference's, judged in float64, where every real mistake far exceeds rounding."""

from harness.claims import _sabotage
from harness.core.claim import About, Claim, Trial


def agrees_with_the_reference(trial: Trial) -> None:
    exact, tolerance = trial.agreement()
    trial.close(trial.run().outputs, exact.outputs, tolerance.outputs, "out")


CLAIM = Claim(
    "agrees_with_the_reference",
    "its outputs match the reference's",
    agrees_with_the_reference,
    needs=lambda contract: contract.agrees,
    sabotage=lambda call, method, arguments, request: _sabotage.anything(
        call(arguments), lambda out: out * 1.0001 + 1e-6
    ),
    about=frozenset({About.NUMBERS}),
)
