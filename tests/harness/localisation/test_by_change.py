"""The wrong line of code that computes no tensors: the one whose change fixes the answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_styles import inspect_style

from harness.localisation import by_change

SCHEDULE = """\
import math


def lr_schedule(step, warmup, total, peak, floor=0.0):
    if step < warmup:
        return peak * step / warmup
    if step >= total:
        return floor
    share = (step - warmup) / (total - warmup)
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * share))
"""
MISTAKES = {
    "step / warmup": ("step / total", 6),
    "step >= total": ("step > warmup", 7),
    "(step - warmup) /": ("step /", 9),
    "+ 0.5 * (peak": ("- 0.5 * (peak", 10),
    "math.pi * share": ("2 * math.pi * share", 10),
}
WORDS = Path(__file__).parents[2] / "styles" / "tokenizer_steps.py"


def marked(path: Path, text: str, component: str, cases: int = 8) -> tuple[tuple[int, str], ...]:
    path.write_text(text, encoding="utf-8")
    inspection = inspect_style(str(path), cases=cases)
    assert component in inspection.implementation.components
    return tuple((line.line, line.computes) for line in inspection.lines.of_component(component))


@pytest.mark.parametrize("right", MISTAKES)
def test_the_line_of_a_schedule(right: str, tmp_path: Path) -> None:
    wrong, number = MISTAKES[right]
    assert right in SCHEDULE
    found = marked(tmp_path / "schedule.py", SCHEDULE.replace(right, wrong), "lr_schedule")
    assert found and found[0][0] == number and len(found) <= 2


def test_a_right_schedule_has_no_wrong_line(tmp_path: Path) -> None:
    assert marked(tmp_path / "schedule.py", SCHEDULE, "lr_schedule") == ()


def test_a_function_that_touches_files_is_left_alone(tmp_path: Path) -> None:
    """Nobody knows what it would do with a change: it is judged as it stands, and no line is sought."""
    log = tmp_path / "log.txt"
    text = SCHEDULE.replace("    share =", f"    open({str(log)!r}, 'a').close()\n    share =")
    assert marked(tmp_path / "schedule.py", text.replace("step / warmup", "step / total"), "lr_schedule") == ()


def test_a_file_of_any_length_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each line the cheapest changes are tried; others have no place."""
    monkeypatch.setattr(by_change, "MOST_TEXT", 200 * len(SCHEDULE))
    wrong = SCHEDULE.replace("step / warmup", "step / total")
    assert [line for line, _ in marked(tmp_path / "schedule.py", wrong, "lr_schedule")] == [6]


def test_the_change_of_a_schedule_is_proven(tmp_path: Path) -> None:
    path = tmp_path / "schedule.py"
    path.write_text(SCHEDULE.replace("step / warmup", "step / total"), encoding="utf-8")
    proven = inspect_style(str(path), cases=8).changes.of("lr_schedule")
    assert proven is not None and proven.changes[0].after == SCHEDULE


def test_the_line_of_a_tokenizer(tmp_path: Path) -> None:
    """The pair that was learned last is merged first. A change that makes a loop without an end ends soon."""
    text = WORDS.read_text(encoding="utf-8")
    wrong = text.replace("pair = min(get_stats(ids)", "pair = max(get_stats(ids)")
    number = 1 + text[: text.index("pair = min(")].count("\n")
    assert marked(tmp_path / "words.py", wrong, "tokenizer", cases=6) == ((number, "max"),)
