"""The telling sets: every component has one, its cases are made as they were chosen, and they tell what the file says.

Whether they tell is tried for two components here, for all with PLUMBLINE_FULL=1, as by `plumbline cases --check`.
"""

import pytest
from support_lanes import FULL

from harness.judging.catalogue import load_catalogue
from harness.judging.telling import telling_set
from harness.judging.telling_check import changed_cases, lost_power, untold

KNOWN = load_catalogue()
TRIED = list(KNOWN.contracts) if FULL else ["layer_norm", "gelu"]
ANEW = "choose them anew: plumbline cases {} --regenerate"


@pytest.mark.parametrize("component", KNOWN.contracts)
def test_the_cases_are_made_as_they_were_chosen(component: str) -> None:
    chosen = telling_set(component)
    assert chosen.cases, ANEW.format(component)
    assert changed_cases(KNOWN, chosen) == [], ANEW.format(component)


@pytest.mark.parametrize("component", TRIED)
def test_the_cases_tell_what_they_told(component: str) -> None:
    assert lost_power(KNOWN, telling_set(component)) == [], ANEW.format(component)


def test_nearly_every_known_mistake_is_told_by_a_chosen_case() -> None:
    missing = {name: untold(KNOWN, telling_set(name)) for name in KNOWN.contracts}
    assert sum(map(len, missing.values())) <= 0.02 * len(KNOWN.all_mistakes()), missing
