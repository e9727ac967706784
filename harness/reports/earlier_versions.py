"""Records of earlier versions, as today's: every field and status that was renamed, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.claim import About
from harness.core.note import NoteCode
from harness.core.record import VERSION, Status

RENAMED_IN_2: Mapping[str, Mapping[str, str]] = {
    "record": {"cards": "summaries", "facts": "measurements"},
    "verdict": {"violated": "failed_cases", "heat": "error_map"},
    "status": {"holds": Status.PASSED, "violated": Status.FAILED, "not offered": Status.NOT_APPLICABLE},
}
"""Version 1 -> version 2: fields of the record and of a verdict, and words of a verdict's status."""
ABOUT_IN_1: Mapping[str, Sequence[About]] = {
    "agrees_with_the_reference": (About.NUMBERS,),
    "rounds_like_the_reference_in_float32": (About.ROUNDING,),
    "holds_up_in_half_precision": (About.ROUNDING,),
    "every_argument_receives_a_gradient": (About.FORM, About.GRADIENT),
    "gradients_agree": (About.GRADIENT, About.NUMBERS),
    "gradients_agree_with_differences": (About.CONSISTENCY, About.GRADIENT),
}
"""What claims of version 1 are about, by their names then: that version did not record it."""
READABLE = (1, VERSION)
"""Versions that can be read."""


def as_today(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a record of any readable version, under today's names.

    Raises ValueError where the version is none of ``READABLE``, KeyError or TypeError where the values are no record's.
    """
    version = values.get("version")
    if version not in READABLE:
        known = " or ".join(map(str, READABLE))
        raise ValueError(f"not a run record of version {known} (its version: {version!r})")
    return _with_codes(dict(values) if version == VERSION else _from_1(values))


def _with_codes(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a code for each note: version 1, and the first records of version 2, hold texts alone."""
    verdicts = [
        {**one, "notes": _coded(one.get("notes", ()), one["component"])} if isinstance(one, Mapping) else one
        for one in record["verdicts"]
    ]
    return {**record, "notes": _coded(record.get("notes", ()), ""), "verdicts": verdicts}


def _coded(notes: Sequence[Any], component: str) -> list[Any]:
    other = {"component": component, "code": NoteCode.OTHER.value}
    return [{**other, "text": note} if isinstance(note, str) else note for note in notes]


def _from_1(values: Mapping[str, Any]) -> dict[str, Any]:
    record = _renamed(values, RENAMED_IN_2["record"])
    record["verdicts"] = [_verdict_from_1(verdict) for verdict in record["verdicts"]]
    summaries = record["summaries"].items()
    record["summaries"] = {name: {**one, "diff": _turned(one["diff"])} for name, one in summaries}
    return {**record, "version": 2}


def _verdict_from_1(values: Mapping[str, Any]) -> dict[str, Any]:
    verdict = _renamed(values, RENAMED_IN_2["verdict"])
    status = RENAMED_IN_2["status"].get(verdict["status"], verdict["status"])
    return {**verdict, "status": status, "about": list(ABOUT_IN_1.get(verdict["claim"], ()))}


def _turned(diff: str) -> str:
    """A diff the other way round: in version 1 ``-`` was the expected code and ``+`` the mistake."""
    lines = diff.splitlines()
    signs = {"-": "+", "+": "-"}
    turned = [signs.get(line[:1], line[:1]) + line[1:] for line in lines]
    return "\n".join(sorted(turned, key=lambda line: line.startswith("+")))


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
