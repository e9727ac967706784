"""A lesson: what people repeat about building language models, as the smallest experiment in which it can be false."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class Outcome(str, Enum):
    """What came of a question, or of a lesson. It equals and is written as its text."""

    HOLDS = "holds"
    REFUTED = "does not hold at this size"
    OPEN = "not decided"

    def __str__(self) -> str:
        return self.value


class Relation(str, Enum):
    """On which side of the threshold the claim puts the effect."""

    ABOVE = "above"
    BELOW = "below"

    def __str__(self) -> str:
        return self.value


class Kind(str, Enum):
    """What the values of the seeds are, and so how their interval is found."""

    MEAN = "mean"
    """A number per seed: Student's t interval of the mean."""
    SHARE = "share"
    """0 or 1 per seed: the exact binomial interval of the share."""
    EXACT = "exact"
    """A count, the same for every seed: no interval is needed."""

    def __str__(self) -> str:
        return self.value


class CannotTakePart(Exception):
    """A user's component does not take what a lesson gives it, lacks a method, or is not written yet: no fault of it.

    ``component``: its name. The text says what it lacks.
    """

    def __init__(self, component: str, reason: str) -> None:
        super().__init__(reason)
        self.component = component


class Object(Protocol):
    """An object that a component built: an optimiser, an adapter, a tokenizer."""

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of its contract. Raises whatever the component raises."""


class Components(Protocol):
    """The components that a lesson is made of, by name: the user's own where they are offered, else the reference's."""

    def call(self, component: str, **arguments: Any) -> Any:
        """Call a component that is a function. Gradients flow through it. Raises whatever the component raises."""

    def build(self, component: str, **arguments: Any) -> Object:
        """Build a component that is a class. Raises whatever the component raises."""

    def is_own(self, component: str) -> bool:
        """Whether the user's own takes part."""


@dataclass(frozen=True)
class Setting:
    """What one seed of a lesson is run with. ``share``: of the steps that a lesson takes; below 1 for a first look."""

    components: Components
    seed: int
    share: float = 1.0

    def steps(self, count: int) -> int:
        """So many steps, or the share of them; at least 2."""
        return max(2, round(count * self.share))


@dataclass(frozen=True)
class Measured:
    """What one arm gave with one seed: numbers by name, and points (x, y) of lines of the plot by their label."""

    values: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One of the ways that a lesson compares. ``run(setting)`` runs it with one seed.

    What the arms share (data, initial weights, order of batches) comes from the seed, so that differences are paired.
    """

    name: str
    sentence: str
    run: Callable[[Setting], Measured]


class Arms:
    """The arms of a lesson with one seed: each is run when a question first asks for it."""

    def __init__(self, arms: Sequence[Arm], run: Callable[[Arm], Measured]) -> None:
        self.arms, self.run = {arm.name: arm for arm in arms}, run
        self.measured: dict[str, Measured] = {}

    def __getitem__(self, name: str) -> Mapping[str, float]:
        if name not in self.measured:
            self.measured[name] = self.run(self.arms[name])
        return self.measured[name].values

    def difference(self, one: str, other: str, value: str) -> float:
        """A value of one arm minus that of another."""
        return self[one][value] - self[other][value]

    def curves(self) -> dict[str, Sequence[tuple[float, float]]]:
        """The lines of the arms that were run, in the order of the arms."""
        ran = [self.measured[name] for name in self.arms if name in self.measured]
        return {label: points for one in ran for label, points in one.curves.items()}


@dataclass(frozen=True)
class Question:
    """One part of a claim that a number decides.

    ``sentence``: what the claim says, so that it is true or false. ``take(arms)``: the effect with one seed, from the
    numbers of the arms; ``effect``: what that number is, in words. The claim holds where the effect lies above (below)
    ``threshold``, the least effect that matters, which was chosen before the experiment was run. ``decided_by``: the
    user's components that answer for it: with ``--impl``, a question that fails with theirs and holds with the
    reference's is a finding against them.
    """

    name: str
    sentence: str
    effect: str
    take: Callable[[Arms], float]
    threshold: float
    unit: str = "nats"
    relation: Relation = Relation.ABOVE
    kind: Kind = Kind.MEAN
    decided_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axes:
    """What a plot shows: the titles of both axes, and which of them are logarithmic."""

    across: str
    up: str
    log_across: bool = False
    log_up: bool = False


@dataclass(frozen=True)
class Lesson:
    """A popular claim as an experiment.

    ``claim``: as it is repeated, in a sentence; ``source``: where it comes from. ``setup``: model, data and steps.
    ``components``: those of the user that can take part. ``caveat``: what the experiment does not show.
    """

    name: str
    claim: str
    source: str
    setup: str
    arms: tuple[Arm, ...]
    questions: tuple[Question, ...]
    axes: Axes
    components: tuple[str, ...] = ()
    caveat: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of one question, in plain values.

    ``low`` and ``high``: the interval at 95 % over all looks at the data; ``p``: two-sided, of the effect against the
    threshold, corrected for the looks; None where nothing was estimated. ``values``: one per seed.
    """

    name: str
    sentence: str
    effect: str
    unit: str
    relation: Relation
    threshold: float
    kind: Kind
    outcome: Outcome
    estimate: float
    low: float
    high: float
    p: float | None
    values: tuple[float, ...]
    decided_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """A point of a plotted line: the mean over the seeds, and the smallest and largest of them."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A line of the plot."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LessonResult:
    """What came of a lesson, in plain values: everything that the table, the page and the record show.

    ``seconds``: processor seconds that it took, of ``budget``. ``own``: the user's components that took part.
    ``problem``: what stopped it, where something did. ``against``: names of the questions that fail with the user's
    components and hold with the reference's.
    """

    name: str
    claim: str
    source: str
    setup: str
    outcome: Outcome
    answers: tuple[Answer, ...]
    seeds: int
    seconds: float
    budget: float
    across: str
    up: str
    log_across: bool
    log_up: bool
    curves: tuple[Curve, ...]
    arms: tuple[str, ...]
    """Each ``name: sentence``."""
    own: tuple[str, ...] = ()
    caveat: str = ""
    problem: str = ""
    against: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """The user's components that could not take part, and why: the reference's took their place."""

    @property
    def held(self) -> int:
        """How many of its questions hold."""
        return sum(answer.outcome is Outcome.HOLDS for answer in self.answers)


def outcome_of(answers: Sequence[Answer]) -> Outcome:
    """A claim holds where all its parts do, and does not where one of them does not."""
    outcomes = {answer.outcome for answer in answers}
    if Outcome.REFUTED in outcomes:
        return Outcome.REFUTED
    return Outcome.HOLDS if outcomes == {Outcome.HOLDS} else Outcome.OPEN
