"""The outcomes of one claim over its cases, counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.core.case import Case
from harness.core.claim import Violation
from harness.judging.evidence import Evidence


@dataclass
class Tally:
    """What came of a claim over the cases tried."""

    cases: int = 0
    skipped: int = 0
    worst: float | None = None
    not_offered: str = ""
    misfit: str = ""
    half_precision: bool = True
    """Whether 16-bit numbers were judged in every case that is broken."""
    broken: list[tuple[Case, Exception]] = field(default_factory=list)
    advised: list[tuple[Case, Violation]] = field(default_factory=list)
    """The cases that break what nobody is held to."""
    first: int = 0
    stopped_early: bool = False
    """Whether further cases were left out, since so many had failed."""
    evidence: list[Evidence] = field(default_factory=list)
    judged: list[Case] = field(default_factory=list)
    """The cases that the claim says something about."""
