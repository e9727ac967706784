"""An id at the end of a few rows is no padding."""

from __future__ import annotations

import pytest
from support_scripts import HEALTHY

from harness.training.trials import script_mistakes, try_healthy, try_mistake


@pytest.mark.parametrize("seed", [2, 4])
def test_rows_that_rise_are_not_taken_for_padded_ones(seed: int) -> None:
    """In rows that only rise, an id may stand at the end of two rows by chance, twice in one of them."""
    assert not try_healthy(HEALTHY / "fused_optimizer.py", seed).found


def test_padding_that_is_counted_is_still_found() -> None:
    """Rows of unequal length, filled up with one id."""
    mistakes = {mistake.name: mistake for mistake in script_mistakes()}
    assert try_mistake(mistakes["padding_counted"]).placed
    assert try_mistake(mistakes["padding_counted_in_the_answers"]).placed
