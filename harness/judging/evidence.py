"""What the implementation answered where a claim failed, kept for the diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.implementation import Answer, Request

COTANGENT_SEED = 20_191_114
EVIDENCE_CASES = 6
"""Violating cases of a claim whose runs are kept for the diagnosis."""


@dataclass(frozen=True)
class Evidence:
    """What the implementation answered to one request, kept for the diagnosis. ``effects``: whether side effects
    matter."""

    request: Request
    answer: Answer
    effects: bool = False
