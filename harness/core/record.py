"""A verdict: a frozen record of plain values. Reports read verdicts and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from harness.core.change import ProvenChange
from harness.core.claim import About
from harness.core.curve import CurveReading
from harness.core.grounds import Grounds
from harness.core.hint import Hint
from harness.core.lesson import LessonResult
from harness.core.marked_line import MarkedLine
from harness.core.measurement import Measurement
from harness.core.mistake import KnownMistake
from harness.core.note import Note
from harness.core.workload import Benchmark


class Status(str, Enum):
    """What came of one check. It equals, sorts and is written as its text."""

    PASSED = "passed"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    TO_DO = "to do"
    """Not written yet."""
    NOT_APPLICABLE = "not applicable"
    """The check says nothing about this implementation; the message says why."""
    NOT_CHECKED = "not checked"
    """The code was called with something that it does not take, or built at a size that it did not get: a misfit."""
    BARELY_CHECKED = "barely checked"
    """It passed, but no case could have told: too few were given, or none has what the check is about."""
    ADVICE = "advice"
    """It did not pass, and nobody is held to it: the code is stricter, or more precise, if it follows the message."""

    def __str__(self) -> str:
        return self.value

    @property
    def is_failing(self) -> bool:
        """Whether the check found something wrong."""
        return self in (Status.FAILED, Status.CRASHED, Status.TIMED_OUT)

    @property
    def is_judged(self) -> bool:
        """Whether the check was run and counts: it passed, if only barely, or found something wrong."""
        return self in (Status.PASSED, Status.BARELY_CHECKED) or self.is_failing

    @property
    def is_open(self) -> bool:
        """Whether something must still be written before the check says anything: to do, or not plugged in."""
        return self in (Status.TO_DO, Status.NOT_CHECKED)


class Cause(str, Enum):
    """What kind of red a verdict is. It equals and is written as its text."""

    NONE = ""
    """Nothing is wrong."""
    WRONG_NUMBERS = "wrong numbers"
    """Its numbers are not the reference's."""
    OWN_CRASH = "own crash"
    """It raised, or did not end, on input that it takes by its own signature."""
    BROKEN_CLAIM = "broken claim"
    """Something else that it promises does not hold."""
    MISFIT = "misfit"
    """It was called with something that it does not take, or built at a size that it did not get. Fails no run."""
    MISSING = "missing"
    """It is required, and not there."""

    def __str__(self) -> str:
        return self.value


VERSION = 2
"""Changes when a field goes or means something else; :mod:`harness.reports.earlier_versions` reads what came before."""
EXPECTED = "expected"
"""The table ``[tool.plumbline.expected]``: ``"layer_norm::statistics_in_float32" = "why"``, or a whole component."""


@dataclass(frozen=True)
class Verdict:
    """What came of one claim on one component.

    ``error``: largest error in units of the tolerance over the cases that passed (None: no number). ``worst``: the
    worst element in words. ``smallest``: the smallest failing case in words; ``case_id`` replays it. ``finding``:
    names of the known mistakes that together explain it, ``or_else``: others that would do so equally well.
    """

    component: str
    claim: str
    sentence: str
    status: Status
    about: tuple[About, ...] = ()
    """What the claim is about."""
    message: str = ""
    returned: str = ""
    """What came back, where that is another kind of thing than declared."""
    explains: bool = False
    """Whether the message of a failed check says why: checks of a component with the same message are then one
    failure."""
    worst: str = ""
    error: float | None = None
    excess: float | None = None
    cases: int = 0
    failed_cases: int = 0
    first: int = 0
    """Which of the generated cases was the first that fails, from 1."""
    smallest: str = ""
    case_id: str = ""
    finding: tuple[str, ...] = ()
    or_else: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    where: str = ""
    line: int = 0
    false_alarm: float = 0.0
    seconds: float = 0.0
    error_map: tuple[tuple[float, ...], ...] = ()
    """Errors in units of the tolerance over two axes, of the largest failing case."""
    excused: str = ""
    """Why it does not fail the run although it did not pass."""
    cause: Cause = Cause.NONE
    """What kind of red it is."""
    half_precision: bool = False
    """Whether it fails with 16-bit numbers alone."""
    advice: str = ""
    """Of a verdict that is advice: why nobody is held to it, and what to do."""
    lines: tuple[MarkedLine, ...] = ()
    """Lines of the implementation that an experiment found to be wrong, the surest first; none where it does not
    decide."""
    change: ProvenChange | None = None
    """What fixes its component, proven by every check of it; None where none was sought or found."""

    explained_by: str = ""
    """The claim that failed first for the same reason, where this one was not judged on further cases for that."""
    covers: tuple[str, ...] = ()
    """Claims of the component that were judged before, which the finding explains too: it takes the place of theirs."""
    depends_on_earlier_calls: bool = False
    """Whether the same case passes in a fresh instance; the message says what came before."""
    searched: tuple[int, ...] = ()
    """Of a failure that nothing explains: how many known mistakes, sets of them, and relations were tried."""
    stopped_early: bool = False
    """Whether further cases were left out, since so many had failed: ``failed_cases`` then is a part of them."""

    @property
    def failing(self) -> bool:
        """Whether it fails the run: a failing status that nothing excuses."""
        return self.status.is_failing and not self.excused

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which other processes and JSON take."""
        about, notes = [about.value for about in self.about], [note.as_dict() for note in self.notes]
        lines = [{**asdict(line), "mark": line.mark.value} for line in self.lines]
        plain = {"status": self.status.value, "cause": self.cause.value, "about": about, "notes": notes, "lines": lines}
        return {**asdict(self), **plain}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Verdict:
        """The verdict of :meth:`as_dict`, also where its values went through JSON.

        Raises TypeError where a field is unknown or absent, or a note is none; ValueError where the status, the
        cause, what the claim is about, the code of a note, or the mark of a line is none.
        """
        frozen = {name: _frozen(value) for name, value in values.items()}
        about = tuple(map(About, frozen.get("about", ())))
        notes = tuple(map(Note.from_dict, frozen.get("notes", ())))
        lines = tuple(map(MarkedLine.from_dict, frozen.get("lines", ())))
        change = ProvenChange.from_dict(frozen["change"]) if frozen.get("change") else None
        plain = {"status": Status(frozen.get("status")), "cause": Cause(frozen.get("cause", "")), "change": change}
        return cls(**{**frozen, **plain, "about": about, "notes": notes, "lines": lines})


def with_covered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Every verdict under the name that explains most: a finding takes the place of what was found before it where it
    explains that too."""
    settled = list(verdicts)
    for late in [v for v in verdicts if v.covers and v.finding]:
        for place, early in enumerate(settled):
            if early.component == late.component and early.claim in late.covers and early.failing:
                settled[place] = replace(early, finding=late.finding, or_else=late.or_else, lines=late.lines)
    return settled


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class MistakeSummary:
    """A known mistake as a report shows it: what it is called, one sentence, where it was reported.

    ``diff``: ``-`` is the mistake, ``+`` the expected code. ``declare``: of a legal form, how it is declared
    (``softcap=50``); empty for a mistake. ``is_relation``: it stands in no catalogue; the reference with these lines in
    it gives the same output.
    """

    name: str
    component: str
    sentence: str
    diff: str
    seen_in: tuple[str, ...] = ()
    declare: str = ""
    is_relation: bool = False

    @classmethod
    def of(cls, mistake: KnownMistake, declare: str) -> MistakeSummary:
        """Of a known mistake. ``declare``: how it is declared, where it is a legal form."""
        m = mistake
        return cls(m.full_name, m.component, m.sentence, m.diff(), m.seen_in, declare, m.is_relation)


@dataclass
class RunRecord:
    """A whole run in plain values: the only thing that reports read.

    ``planned``: component -> number of checks collected. ``order``: components in reading order, parts before
    composites; ``parts``: what each is made of. ``missing``: components that the implementation does not have, or has
    not begun. ``signatures``: how each is written, in one line. ``measurements``: what was measured beyond right and
    wrong.
    """

    impl: str
    seed: int
    planned: dict[str, int]
    order: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]
    meanings: dict[str, str]
    verdicts: list[Verdict]
    summaries: dict[str, MistakeSummary]
    missing: tuple[str, ...] = ()
    variants: dict[str, str] | None = None
    notes: tuple[Note, ...] = ()
    signatures: dict[str, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    benchmarks: list[Benchmark] = field(default_factory=list)
    lessons: list[LessonResult] = field(default_factory=list)
    """What came of the lessons of ``plumbline study``."""
    grounds: dict[str, Grounds] = field(default_factory=dict)
    """What the verdicts on each component rest on."""
    curves: list[CurveReading] = field(default_factory=list)
    """Curves of training runs that were judged, in the order in which they were given."""
    command: str = ""
    """What repeats the run, where that is no run of pytest."""
    noun: str = "component"
    """What is judged, where it is no component."""
    models: tuple[str, ...] = ()
    """Whole models, of which somebody writes one: what another one is made of need not be written."""
    machine: dict[str, Any] = field(default_factory=dict)
    """What was measured on: names, and the rates that benchmarks are held against."""
    effort: str = "default"
    hints: Hint = Hint.LINE
    """How much of what is wrong the reports show. The record itself holds everything."""
    isolation: str = "none"
    """Where the implementation's code ran: in the judge's process ("none"), or how far apart from it."""
    started: float = 0.0
    """Seconds since 1970."""
    seconds: float = 0.0
    finished: bool = False
    version: int = VERSION

    def add(self, verdict: Verdict) -> None:
        """One more verdict; what it covers goes by its finding from now on."""
        self.verdicts.append(verdict)
        if verdict.covers:
            self.verdicts = with_covered(self.verdicts)

    def add_change(self, component: str, change: ProvenChange) -> None:
        """Every failing verdict of a component with the change that fixes it."""
        found = self.verdicts
        fixed = (v.component == component and v.failing for v in found)
        self.verdicts = [replace(v, change=change) if fits else v for v, fits in zip(found, fixed, strict=True)]

    def of(self, component: str) -> list[Verdict]:
        """The verdicts of one component, in the order they came."""
        return [v for v in self.verdicts if v.component == component]

    def below(self, component: str) -> tuple[str, ...]:
        """Everything a component is made of, directly or not, in reading order."""
        direct = self.parts.get(component, ())
        found = {*direct, *(deep for part in direct for deep in self.below(part))}
        return tuple(name for name in self.order if name in found)
