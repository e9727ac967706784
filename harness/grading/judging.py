"""Judges one submission in a process of its own; if that dies, a new one goes on without the component in flight."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.core.hint import Hint
from harness.core.note import Note
from harness.core.record import MistakeSummary, Verdict, with_covered
from harness.grading import journal
from harness.grading.checks import Checks
from harness.grading.forkserver import ForkServer
from harness.grading.log import Log, summaries_of
from harness.grading.rubric import Rubric
from harness.grading.submissions import Submission, copied, forbidden
from harness.grading.supervisor import TIMES, Job, Limit, Outcome

FINISHED = (0, 1, 5)
"""pytest's exit codes of a run that came to its end."""
JUDGED, PARTLY, NOT_JUDGED, REFUSED = "judged", "judged in part", "not judged", "refused"
SUBMISSION = "submission"
ADVICE = re.compile(r"[.;]?\s+[Ii]f it is merely slow: --impl-timeout=SECONDS")
"""Who is graded has no such option."""


@dataclass(frozen=True)
class Task:
    """All that judging one submission takes."""

    submission: Submission
    rubric: Rubric
    checks: Checks
    seed: int
    key: str
    user: tuple[int, int] = (-1, -1)
    namespaces: bool = True


@dataclass(frozen=True)
class Judged:
    """What came of one submission, without any points. ``seconds``, ``memory_mb`` and ``output`` decide nothing.

    ``why``: what kept it from being judged, wholly or in part. ``deaths``: of its processes, in the order they came.
    ``unreached``: why single checks, or whole components, were not judged.
    """

    name: str
    key: str
    state: str = JUDGED
    why: str = ""
    deaths: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    summaries: Mapping[str, MistakeSummary] = field(default_factory=dict)
    unreached: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    suspicious: tuple[str, ...] = ()
    seconds: float = 0.0
    memory_mb: float = 0.0
    output: str = ""
    apart: bool = False
    version: int = 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Judged:
        lists = {key: tuple(values[key]) for key in ("deaths", "suspicious")}
        notes = tuple(map(Note.from_dict, values["notes"]))
        verdicts = tuple(Verdict.from_dict(v) for v in values["verdicts"])
        return cls(
            **{**values, **lists, "notes": notes, "verdicts": verdicts, "summaries": summaries_of(values["summaries"])}
        )


def judge(task: Task, fork_server: ForkServer) -> Judged:
    """Judge one submission. Raises Stopped if the server is closed meanwhile, OSError if it cannot be started."""
    one, blank = task.submission, Judged(task.submission.name, task.key)
    if one.problem:
        return replace(blank, state=NOT_JUDGED, why=one.problem)
    if used := forbidden(one, task.rubric.forbidden):
        return replace(blank, state=REFUSED, why=used)
    folder = Path(tempfile.mkdtemp(prefix="plumbline-")).resolve()
    try:
        return _judged(task, fork_server, blank, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judged(task: Task, fork_server: ForkServer, blank: Judged, folder: Path) -> Judged:
    """Judge one submission in as many processes as its deaths allow."""
    started = time.monotonic()
    impl = _laid_out(task, folder)
    log = Log(task.checks, task.rubric.names)
    outcome, why = _attempts(task, fork_server, folder, impl, log)
    blank = replace(
        blank,
        seconds=time.monotonic() - started,
        memory_mb=outcome.memory_mb,
        output=outcome.output,
        apart=outcome.apart,
    )
    if why:
        return _clean(replace(blank, state=NOT_JUDGED, why=why, deaths=_deaths(outcome, why)), folder)
    unreached = log.unreached()
    judged = replace(
        blank,
        state=PARTLY if unreached else JUDGED,
        why="; ".join(log.whys()),
        deaths=tuple(log.deaths),
        verdicts=tuple(with_covered(list(log.verdicts.values()))),
        summaries=log.summaries,
        unreached=unreached,
        notes=tuple(log.notes),
        variants=log.variants,
        suspicious=tuple(log.suspicious),
    )
    return _clean(judged, folder)


def _attempts(task: Task, fork_server: ForkServer, folder: Path, impl: str, log: Log) -> tuple[Outcome, str]:
    """Fill the log process by process. How the last one ended, and why nothing was judged, where nothing was."""
    limits, started, outcome = task.rubric.limits, time.monotonic(), Outcome()
    for attempt in range(limits.restarts + 1):
        left = limits.seconds - (time.monotonic() - started)
        if left <= 0:
            log.rest(f"its {limits.seconds:g} s were over")
            return outcome, ""
        path = folder / "journal" / f"{attempt}.jsonl"
        outcome = _whole(fork_server.run(_job(task, folder, path, impl, log, left)), limits.seconds)
        kept = journal.read(path)
        if not kept.begun:
            why = _not_begun(outcome)
            if attempt == 0:
                return outcome, why
            log.died(f"its import, in a new process: {why}")
            log.rest(why)
            return outcome, ""
        log.take(kept)
        if kept.end in FINISHED and not outcome.ended_for:
            return outcome, ""
        if kept.is_judged and not log.missing():  # it ended while a change was sought
            return outcome, ""
        log.blame(kept, _died(outcome), timed_out=outcome.limit in TIMES)
        if not log.missing():
            return outcome, ""
    log.rest(f"its process had died {limits.restarts + 1} times")
    return outcome, ""


def _job(task: Task, folder: Path, path: Path, impl: str, log: Log, seconds: float) -> Job:
    """One more process, for what is not judged yet."""
    return Job(
        str(folder / "work"),
        str(path),
        _arguments(task, impl),
        replace(task.rubric.limits, seconds=seconds),
        tuple(log.verdicts),
        tuple(log.without),
        *task.user,
        namespaces=task.namespaces,
    )


def _laid_out(task: Task, folder: Path) -> str:
    """The copy of the submission in a folder of its own; what ``--impl`` takes."""
    work = folder / "work"
    for inner in (work, work / "tmp", folder / "journal", work / SUBMISSION):
        inner.mkdir()
    # Empty, so that neither a file of theirs nor one above this folder has a say.
    (work / "pyproject.toml").write_text("[tool.plumbline]\n")
    (work / "pytest.ini").write_text("[pytest]\n")
    impl = copied(task.submission, work / SUBMISSION)
    if task.user[0] >= 0:
        os.chmod(folder, 0o755)
        for path in (work, folder / "journal", *work.rglob("*")):
            os.chown(path, *task.user)
    return f"./{SUBMISSION}/{impl.removeprefix('./')}"


def _arguments(task: Task, impl: str) -> tuple[str, ...]:
    rubric = task.rubric
    return (
        "-p",
        "plumbline",
        "-c",
        "pytest.ini",
        "--rootdir=.",
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "--capture=no",
        "-q",
        "--tb=no",
        f"--impl={impl}",
        f"--impl-seed={task.seed}",
        "--impl-no-cache",  # what is kept there, the code of another submission may have written
        f"--impl-effort={rubric.effort}",
        f"--impl-isolation={rubric.isolation}",
        f"--impl-timeout={rubric.limits.case_seconds:g}",
        "--impl-report=run.json",
        f"--impl-variant={rubric.variant_option}",
        *([f"--impl-hints={Hint.CHANGE}"] if rubric.hints == Hint.CHANGE else []),
        *(f"--impl-select={name}" for name in rubric.names),
    )


# in words ------------------------------------------------------------------------------------------------------------


def _died(outcome: Outcome) -> str:
    if outcome.ended_for:
        return outcome.ended_for
    if outcome.code < 0:
        return f"it was killed by signal {-outcome.code}"
    return f"it ended by itself, with exit code {outcome.code} (os._exit, or what Python cannot catch)"


def _whole(outcome: Outcome, seconds: float) -> Outcome:
    """A restarted process is told what was left of the time; a person is told the whole of it."""
    if outcome.limit == Limit.TOTAL_TIME:
        return replace(outcome, ended_for=f"it took longer than {seconds:g} s in all")
    return outcome


def _not_begun(outcome: Outcome) -> str:
    """Why nothing at all was judged: what pytest says of the import, or how the process died."""
    said = outcome.output.rpartition("ERROR: --impl=")[2].strip()
    if outcome.code == 4 and said and not outcome.ended_for:
        return said.partition(": ")[2].replace(" No check was run.", "") or said
    return f"while it was imported, {_died(outcome)}"


def _deaths(outcome: Outcome, why: str) -> tuple[str, ...]:
    """An import that fails in words is no death."""
    return () if outcome.code == 4 and not outcome.ended_for else (why,)


def _clean(judged: Judged, folder: Path) -> Judged:
    """Without the names of folders that are different in every run."""
    inside = re.compile(f"{re.escape(str(folder / 'work'))}/(?:{SUBMISSION}/)?|\\./{SUBMISSION}/")
    below = re.compile(rf"^((?:---|\+\+\+) [ab]/){SUBMISSION}/", re.MULTILINE)  # in a diff
    loaded = re.compile(r"_plumbline_(\w+)_[0-9a-f]{8}\b")

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return ADVICE.sub("", loaded.sub(r"\1", below.sub(r"\1", inside.sub("", value))))
        if isinstance(value, Mapping):
            return {key: clean(inner) for key, inner in value.items()}
        return [clean(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    return Judged.from_dict(clean(judged.as_dict()))
