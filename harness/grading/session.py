"""Grades a class: earlier results are kept, the rest is judged in parallel, and each result is written at once."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.grading import feedback, tables
from harness.grading.checks import Checks, edition
from harness.grading.forkserver import ForkServer
from harness.grading.judging import Judged, Task, judge
from harness.grading.rubric import Rubric
from harness.grading.scoring import Grade, as_dict, grade
from harness.grading.submissions import Submission
from harness.reports import json_file

STATE = "grading.json"
"""The file of the seed, in the folder of the grades."""


@dataclass(frozen=True)
class Session:
    """One class under one rubric. ``out``: the folder of the grades. ``force``: judge earlier results again."""

    submissions: Sequence[Submission]
    rubric: Rubric
    checks: Checks
    out: Path
    force: bool = False
    user: tuple[int, int] = (-1, -1)
    namespaces: bool = True
    say: Callable[[str], None] = print

    def run(self, judge_all: Callable[[Sequence[Task]], Iterable[Judged]]) -> list[Grade]:
        """Grade all. ``judge_all`` judges tasks in any order. The tables are written even if interrupted."""
        seed = self.seed()
        tasks = [
            Task(one, self.rubric, self.checks, seed, self._key(one, seed), self.user, self.namespaces)
            for one in self.submissions
        ]
        grades: dict[str, Grade] = {}
        waiting = []
        for task in tasks:
            known = None if self.force else self._known(task)
            if known is None:
                waiting.append(task)
            else:
                grades[known.name] = self._graded(known, seed)
        if grades:
            self.say(
                f"{len(grades)} of {len(tasks)} were judged before with this rubric and seed "
                "(--force judges them again)"
            )
        started = time.monotonic()
        try:
            for judged in judge_all(waiting):
                grades[judged.name] = one = self._graded(judged, seed)
                self.say(self._line(len(grades), one))
        finally:
            finished = [grades[task.submission.name] for task in tasks if task.submission.name in grades]
            self._write_class(finished)
        if self.namespaces and any(one.judged.verdicts and not one.judged.apart for one in finished):
            self.say(
                "note: this system offers no namespaces, so submissions can signal processes of the same user "
                "(docs/GRADING.md)"
            )
        if waiting:
            alone = sum(grades[task.submission.name].judged.seconds for task in waiting)
            self.say(f"judged {len(waiting)} in {time.monotonic() - started:.1f} s ({alone:.1f} s of judging in total)")
        return finished

    def seed(self) -> int:
        """The rubric's seed, or that of this folder: chosen at random once and kept there."""
        path = self.out / STATE
        try:
            self.out.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.rubric.seed is not None:
                return self.rubric.seed
            if path.exists():
                return int(json.loads(path.read_text(encoding="utf-8"))["seed"])
            seed = 100_000_000 + secrets.randbelow(900_000_000)
            json_file.atomically(json.dumps({"version": 1, "seed": seed}) + "\n", path)
            path.chmod(0o600)
            return seed
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} has no seed: {error}; remove the file, or set a seed in the rubric") from None
        except OSError as error:
            raise UsageError(f"--out: {self.out} cannot be written: {error.strerror}") from None

    def _key(self, one: Submission, seed: int) -> str:
        """A digest of everything that decides the verdicts: an earlier result is kept if it is the same."""
        known = [one.digest, one.entry, one.problem, self.rubric.judged_by(), seed, edition()]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]

    def _known(self, task: Task) -> Judged | None:
        try:
            values = json.loads((self.out / task.submission.name / "judged.json").read_text(encoding="utf-8"))
            return Judged.from_dict(values) if values["key"] == task.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _graded(self, judged: Judged, seed: int) -> Grade:
        """The grade of one submission, with all its files written."""
        one = grade(judged, self.rubric, self.checks, seed)
        folder = self.out / judged.name
        folder.mkdir(parents=True, exist_ok=True)
        json_file.atomically(feedback.gradescope(one), folder / "results.json")
        json_file.atomically(feedback.markdown(one), folder / "feedback.md")
        json_file.atomically(json.dumps(as_dict(one), indent=1) + "\n", folder / "grade.json")
        json_file.write(one.record, folder / "record.json")
        # Written last: a submission that has this file is complete.
        json_file.atomically(json.dumps(judged.as_dict(), default=str) + "\n", folder / "judged.json")
        return one

    def _write_class(self, grades: Sequence[Grade]) -> None:
        json_file.atomically(tables.as_csv(grades, self.rubric), self.out / "grades.csv")
        json_file.atomically(tables.as_json(grades, self.rubric), self.out / "class.json")
        json_file.atomically(tables.as_page(grades, self.rubric), self.out / "class.html")

    def _line(self, number: int, one: Grade) -> str:
        width, digits = max(len(s.name) for s in self.submissions), len(str(len(self.submissions)))
        what = ", ".join(one.findings) or ""
        remarks = "; ".join(" ".join(remark.split())[:100] for remark in one.remarks)
        points = f"{one.total:6.2f} of {self.rubric.points:g}  {one.judged.seconds:5.1f} s"
        end = "; ".join(filter(None, (what, remarks)))
        return f"{number:>{digits}} of {len(self.submissions)}  {one.name:<{width}}  {points}  {end}".rstrip()


def here(tasks: Sequence[Task], jobs: int) -> Iterator[Judged]:
    """Judge on this machine, ``jobs`` at a time. An interruption kills all that runs."""
    if not tasks:
        return
    with ForkServer(tasks[0].checks.modules) as fork_server:
        pool = ThreadPoolExecutor(jobs)
        try:
            running: list[Any] = [pool.submit(judge, task, fork_server) for task in tasks]
            for done in as_completed(running):
                yield done.result()
        finally:
            fork_server.close()
            pool.shutdown(cancel_futures=True)
