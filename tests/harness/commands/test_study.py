"""``plumbline study``: what is printed and written, the exit code, and the user's components that take part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import plumbline
from harness.cli import main
from harness.core.errors import UsageError
from harness.core.lesson import Arm, Axes, Components, Lesson, Measured, Outcome, Question, Setting
from harness.reports import json_file, lesson_text
from harness.reports.writing import formats
from harness.study import studying

OWN = """
import torch

def clip_grad_norm(grads, max_norm):
    norm = torch.sqrt(sum(grad.pow(2).sum() for grad in grads if grad is not None))
    return [grad if grad is None else grad * {factor} for grad in grads], norm
"""


def clipped_norm(components: Components) -> float:
    """The norm of a gradient of length 5 that is clipped at 1."""
    grads = components.call("clip_grad_norm", grads=[torch.tensor([3.0, 4.0])], max_norm=1.0)
    return float(grads[0][0].norm())


def noisy(setting: Setting) -> Measured:
    length = clipped_norm(setting.components) + 1e-3 * float(torch.randn(()))
    return Measured({"length": length}, {"clipped": [(setting.seed, length), (10, 1.0)]})


LESSON = Lesson(
    "clipping",
    "Clipping shortens <gradients>.",
    "Pascanu et al. 2013",
    "one gradient of length 5",
    (Arm("clipped", "at 1", noisy),),
    (
        Question(
            "short",
            "It is shorter.",
            "5 minus its length",
            lambda arms: 5 - arms["clipped"]["length"],
            1.0,
            decided_by=("clip_grad_norm",),
        ),
        Question("shorter_still", "It is gone.", "5 minus its length", lambda arms: 5 - arms["clipped"]["length"], 4.5),
    ),
    Axes("seed", "length"),
    ("clip_grad_norm", "lr_schedule"),
    "A toy.",
)


@pytest.fixture(autouse=True)
def one_lesson(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The lessons are this one; the records go to a folder of the test's own."""
    monkeypatch.setattr(studying, "lessons", lambda: {"clipping": LESSON})
    monkeypatch.setattr("harness.commands.study.lessons", lambda: {"clipping": LESSON})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_a_lesson_that_does_not_hold_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The record can be read again, and the page is made from it."""
    assert main(["study", "clipping", "--html", "page.html", "--markdown", "table.md"]) == 0
    out = capsys.readouterr().out
    assert "clipping: does not hold at this size (1 of 2 parts hold)" in out
    assert "holds: It is shorter." in out and "claimed: above 4.5" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    record = json_file.read(Path(".plumbline/study.json"))
    (result,) = record.lessons
    assert (result.outcome, result.seeds, record.finished) == (Outcome.REFUTED, 4, True)
    page = Path("page.html").read_text(encoding="utf-8")
    assert formats()["lessons"].render(record) == page
    assert "Clipping shortens &lt;gradients&gt;." in page and page.count("<svg") >= 3 and "http://" not in page
    table = Path("table.md").read_text(encoding="utf-8")
    assert table == lesson_text.as_markdown(record.lessons)
    assert "| clipping | does not hold at this size | 1 of 2 | 4 |" in table


@pytest.mark.parametrize(("factor", "code"), [("min(1.0, max_norm / float(norm))", 0), ("1.0", 1)])
def test_the_users_component_takes_part(capsys: pytest.CaptureFixture[str], factor: str, code: int) -> None:
    """Clipping that never clips fails what the reference passes: exit code 1, and a verdict on the component."""
    Path("mine.py").write_text(OWN.format(factor=factor))
    assert main(["study", "--impl", "mine.py"]) == code
    out = capsys.readouterr().out
    assert "yours that took part: clip_grad_norm" in out
    assert ("against yours: short" in out) == bool(code)
    (verdict,) = json_file.read(Path(".plumbline/study.json")).verdicts
    assert (verdict.component, verdict.claim, verdict.failing) == ("clip_grad_norm", "clipping_short", bool(code))


def test_a_component_that_raises_fails_what_the_reference_passes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("def clip_grad_norm(grads, max_norm):\n    raise ValueError('no limit')\n")
    assert main(["study", "--impl", "mine.py"]) == 1
    assert "stopped: ValueError: no limit" in capsys.readouterr().out


@pytest.mark.parametrize("body", ["raise NotImplementedError('soon')", "while True: pass"])
def test_what_is_not_written_takes_no_part_and_what_never_ends_fails(
    body: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first says nothing about the code: the reference's takes its place."""
    head = "def clip_grad_norm(grads, max_norm):\n    if len(grads) == 1 and max_norm == 1.0:\n"
    source = f"{head}        {body}\n    return grads, 0\n"
    Path("mine.py").write_text(source)
    inspect = studying.inspect_implementation
    monkeypatch.setattr(studying, "inspect_implementation", lambda impl, seed: inspect(impl, seed=seed, time_limit=0.2))
    fails = "while" in body
    assert main(["study", "--impl", "mine.py"]) == int(fails)
    out = capsys.readouterr().out
    assert ("stopped: TimedOut" in out) == fails
    assert ("yours that did not take part: clip_grad_norm: soon" in out) == (not fails)


def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "cliping"]) == 4
    assert "did you mean clipping?" in capsys.readouterr().err
    assert main(["study", "--impl", "nowhere.py"]) == 4
    assert main(["study", "--jobs", "0"]) == 4
    with pytest.raises(UsageError, match="there is no effort 'huge'"):
        plumbline.study("clipping", effort="huge")


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["version"] == 1 and found["lessons"][0]["answers"][0]["outcome"] == "holds"


def test_python_gets_the_same_results() -> None:
    (result,) = plumbline.study("clipping", effort="quick")
    (again,) = plumbline.study(["clipping"], effort="quick")
    assert replace(result, seconds=0.0) == replace(again, seconds=0.0)


def test_every_lesson_has_its_file_name_and_asks_what_its_arms_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    known = studying.lessons()
    assert len(known) == 14
    for name, lesson in known.items():
        assert lesson.questions and lesson.arms and lesson.source and lesson.setup and lesson.claim.endswith(".")
        names = [question.name for question in lesson.questions]
        assert len(set(names)) == len(names), name
        assert {part for q in lesson.questions for part in q.decided_by} <= set(lesson.components), name
