"""The catalogue in plain values: grading knows neither contract sheets nor claims."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds Plumbline's packages."""


@dataclass(frozen=True)
class Checks:
    """The catalogue as grading sees it.

    ``claims``: sentences by component and claim, in the order in which they are judged. ``variants``: legal variants by
    component. ``modules``: names of Plumbline's modules, which the fork server imports beforehand.
    """

    claims: Mapping[str, Mapping[str, str]]
    variants: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    meanings: Mapping[str, str]
    signatures: Mapping[str, str]
    modules: tuple[str, ...] = ()


@cache
def edition() -> str:
    """A digest of Plumbline's code: what another edition judged is judged again."""
    digest = hashlib.sha256()
    for folder in ("harness", "specs", "reference_model"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
