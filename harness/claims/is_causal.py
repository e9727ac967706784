"""Changing a position does not change the outputs before it."""

from harness.claims import _sabotage
from harness.core.claim import About, Claim
from harness.core.quorum import at_least
from harness.numerics.causality import check_future_is_ignored

CLAIM = Claim(
    "is_causal",
    "changing a position does not change the outputs before it",
    check_future_is_ignored,
    needs=lambda contract: contract.causal is not None,
    sabotage=_sabotage.mixes_positions,
    max_cases=30,
    structural=True,
    about=frozenset({About.CONSISTENCY}),
    quorum=(at_least("three positions or more", time=3),),
)
