"""A claim on a training run: a sentence, and a function that judges it on the stream of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from harness.training.finding import Level, TrainingFinding
from harness.training.places import Place
from harness.training.source import statement_of
from harness.training.stream import Stream


class Topic(str, Enum):
    """What a claim is about. It equals and is written as its text."""

    ORDER = "order"
    COVERAGE = "coverage"
    GRADIENTS = "gradients"
    DATA = "data"
    LOSS = "loss"
    MODEL = "model"
    EVALUATION = "evaluation"
    RESUME = "resume"

    def __str__(self) -> str:
        return self.value


@dataclass
class Judgement:
    """``judged``: how many things the claim was tested on; with none it says nothing about this run."""

    judged: int = 0
    findings: list[TrainingFinding] = field(default_factory=list)

    def find(self, kind: str, message: str, at: Place, level: Level = Level.FAILED, **evidence: Any) -> None:
        """One finding, with the statement at its place. The name of the claim is filled in by whoever judges it."""
        line, end, text = statement_of(at)
        known = bool(at)
        lines = (line, end) if known else (None, None)
        self.findings.append(
            TrainingFinding(kind, "", level, message, at.file, lines[0], lines[1], text if known else "", evidence)
        )


@dataclass(frozen=True)
class TrainingClaim:
    """``name``: in reports; ``sentence``: what is claimed; ``judge(stream)``: tests it."""

    topic: Topic
    name: str
    sentence: str
    judge: Callable[[Stream], Judgement]
