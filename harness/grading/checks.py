"""What there is to be judged, in plain values: grading knows neither sheets nor claims."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Where our packages lie."""


@dataclass(frozen=True)
class Checks:
    """The catalogue as grading sees it.

    ``claims``: sentences by component and claim, in the order in which they are judged. ``variants``: legal other forms by
    component. ``modules``: names of our own modules, which a process that is to judge many loads beforehand.
    """

    claims: Mapping[str, Mapping[str, str]]
    variants: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    meanings: Mapping[str, str]
    signatures: Mapping[str, str]
    modules: tuple[str, ...] = ()


@cache
def edition() -> str:
    """A digest of our own code: what was judged by another edition is judged again."""
    digest = hashlib.sha256()
    for folder in ("harness", "specs", "reference_model"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
