"""Packages that nobody here wrote, as they are installed: what is right in them passes, and nothing is a false alarm.

What is not installed is skipped.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support_lanes import sample
from support_styles import expected_of, outcomes

TABLE = expected_of(Path(__file__).with_name("packages") / "table.toml")
CASES = 6


def package_of(place: str) -> str:
    """The package that a row's ``impl`` is in: ``torch.nn:GELU`` is in torch."""
    return place.partition(":")[0].partition(".")[0]


USUAL = sample(TABLE, str, lambda name: package_of(TABLE[name].file), 3)
"""Three of each package; ``tox -e packages`` takes them all, and installs what is no dependency of ours."""


@pytest.mark.parametrize("entry", USUAL)
def test_what_is_said_of_a_package_is_true(entry: str) -> None:
    """What is still wrong stands in the table as ``waits``, and must go from there when it is right."""
    expected = TABLE[entry]
    package = package_of(expected.file)
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    declared, unknown = expected.known_forms()
    wrong = expected.wrong(outcomes(expected.file, declared, cases=CASES), unknown)
    assert not set(wrong) - set(expected.waits), wrong
    assert not set(expected.waits) - set(wrong), "right now: take it off the table"
