"""One mistake in each style is never green: the part that it is in fails, also where nothing explains it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support_lanes import sample
from support_styles import FAILS, STYLES, expected_of, outcomes, read_toml

MISTAKES: dict[str, dict[str, Any]] = read_toml(STYLES / "mistakes.toml")
TABLE = expected_of(STYLES / "expected.toml")
CHOSEN = sample(MISTAKES, str, lambda name: "", 8)
"""Eight of them; all with PLUMBLINE_FULL=1."""
CASES = 6


@pytest.mark.parametrize("style", CHOSEN)
def test_a_mistake_is_never_green(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still missed stands in the table as ``waits``, and must go from there when it is found."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    one = MISTAKES[style]
    if TABLE[style].needs:
        pytest.importorskip(TABLE[style].needs)
    file = Path(TABLE[style].file)
    right, wrong = (json.dumps(text)[1:-1] if file.suffix == ".ipynb" else text for text in one["edit"])
    text = file.read_text(encoding="utf-8")
    assert text.count(right) >= 1, f"{file.name} has no {right!r}"
    path = tmp_path / file.name
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    declared, _ = TABLE[style].known_forms()
    found = outcomes(str(path), declared, cases=CASES)
    failing = [name for name in one["fails"] if name in found and found[name].status == FAILS]
    assert bool(failing) != ("waits" in one), {name: found.get(name) for name in one["fails"]}


def test_every_style_has_a_mistake() -> None:
    """But for the file that has nothing to judge."""
    assert set(TABLE) - set(MISTAKES) == {"schedule_others"}
