"""Episodes of a training curve in words, for the terminal and for pages."""

from __future__ import annotations

from harness.core.curve import CurveReading, Episode, EpisodeKind

TITLES = {
    EpisodeKind.HEALTHY: "healthy descent",
    EpisodeKind.NAN: "loss is not finite",
    EpisodeKind.DIVERGENCE: "divergence",
    EpisodeKind.RESUME_JUMP: "jump, as after a resume",
    EpisodeKind.SPIKES: "spikes that recover",
    EpisodeKind.PLATEAU: "plateau",
    EpisodeKind.OVERFIT: "overfitting",
    EpisodeKind.LEAK: "leak",
    EpisodeKind.REPEATED_BATCHES: "repeated batches",
    EpisodeKind.ENDS_EARLY: "ends too early",
    EpisodeKind.VALIDATION_BELOW_TRAINING: "validation below training",
}
ROLES = {
    "train": "training loss",
    "valid": "validation loss",
    "rate": "learning rate",
    "norm": "gradient norm",
    "step": "steps",
}


RAREST = 1e-4
"""What is rarer is not known from some hundred healthy runs."""


def title(one: Episode, unit: str) -> str:
    """The kind, its cause where the shape tells it, and where it begins: ``overfitting from epoch 3``."""
    cause = f" ({one.cause.value.replace('_', ' ')})" if one.cause.value else ""
    where = f" from {unit} {one.onset:g}" if one.onset is not None and one.level.is_finding else ""
    until = f" to {one.end:g}" if one.end is not None and where and one.end != one.onset else ""
    return f"{TITLES[one.kind]}{cause}{where}{until}"


def summary(reading: CurveReading) -> str:
    """All findings of a curve in one line, or that it is healthy."""
    return "; ".join(title(one, reading.unit) for one in reading.findings) or "healthy"


def chance(one: Episode) -> str:
    """How seldom a healthy run shows as much, in words."""
    if one.false_alarm is None:
        return ""
    if one.false_alarm == 0:
        return "no healthy run shows it"
    if one.false_alarm < RAREST:
        return f"fewer than one healthy run in {1 / RAREST:,.0f} shows as much"
    return f"one healthy run in {1 / one.false_alarm:,.0f} shows as much"


def columns_line(reading: CurveReading) -> str:
    """The format, how many values, and which column is what."""
    found = [f"{ROLES[role]} from {name!r}" for role, name in reading.columns.items() if role in ROLES]
    count = len(reading.tracks.get("train", reading.tracks.get("valid", next(iter(reading.tracks.values())))).at)
    return f"{reading.file_format}, {count} values by {reading.unit}; {', '.join(found)}"
