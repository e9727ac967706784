"""What a submission may have written outside its folder decides nothing about another one."""

from __future__ import annotations

from typing import Any

from harness.commands.grade import checks_of
from harness.grading import judging
from harness.grading.example import example
from harness.grading.rubric import parse, tomllib
from harness.judging.catalogue import load_catalogue


def test_kept_tolerances_are_never_used() -> None:
    submission: Any = None
    checks = checks_of(load_catalogue())
    task = judging.Task(submission, parse(tomllib.loads(example(checks)), checks), checks, 3, "key")
    arguments = judging._arguments(task, "./submission/model.py")
    assert {"--impl-no-cache", "--impl-seed=3"} <= set(arguments)
