"""Code as other people write it, with the truth about each file in a table: found, judged, and no false alarm."""

from __future__ import annotations

import sys

import pytest
from support_lanes import FULL
from support_styles import STYLES, expected_of, outcomes

TABLE = expected_of(STYLES / "expected.toml")
CASES = 12 if FULL else 3
OWN_TESTS = {"book", "cs336", "encoder", "lecture", "lens", "lit", "mini", "nano", "pico", "assignment"}
"""Files that tests/test_styles.py and tests/harness/discovery hold."""


@pytest.mark.parametrize("style", TABLE)
def test_what_is_said_of_a_style_is_true(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still wrong stands in the table as ``waits``, and must go from there when it is right."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    expected = TABLE[style]
    if expected.needs:
        pytest.importorskip(expected.needs)
    declared, unknown = expected.known_forms()
    wrong = expected.wrong(outcomes(expected.file, declared, cases=CASES), unknown)
    assert not set(wrong) - set(expected.waits), wrong
    assert not set(expected.waits) - set(wrong), "right now: take it off the table"


def test_every_file_stands_in_the_table_or_has_a_test_of_its_own() -> None:
    """At least fifty styles, none without its truth."""
    files = {path.stem for path in STYLES.iterdir() if path.suffix in (".py", ".ipynb")}
    assert files == set(TABLE) | OWN_TESTS
    assert len(files) >= 50
