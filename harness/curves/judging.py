"""A run in, episodes out: every kind is measured, compared with healthy runs, and what explains another is told
alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

import harness.curves.episodes as package
from harness.core.curve import CurveReading, Episode, EpisodeKind, Level
from harness.core.registry import scan
from harness.curves.envelope import Tail, envelope
from harness.curves.episodes._detector import Detector, Measured
from harness.curves.prepared import Prepared, prepare
from harness.curves.run_curve import RunCurve

CERTAIN = Tail(0.5, 0.0, 0.5, 0)
"""The limit of what needs no comparison: something is there or not."""
EXPLAINS = {
    EpisodeKind.RESUME_JUMP: {EpisodeKind.DIVERGENCE, EpisodeKind.OVERFIT, EpisodeKind.ENDS_EARLY, EpisodeKind.PLATEAU},
    EpisodeKind.DIVERGENCE: {EpisodeKind.SPIKES, EpisodeKind.OVERFIT, EpisodeKind.ENDS_EARLY, EpisodeKind.PLATEAU},
    EpisodeKind.NAN: {EpisodeKind.ENDS_EARLY},
    EpisodeKind.PLATEAU: {EpisodeKind.ENDS_EARLY, EpisodeKind.OVERFIT, EpisodeKind.SPIKES},
    EpisodeKind.LEAK: {EpisodeKind.ENDS_EARLY, EpisodeKind.SPIKES},
    EpisodeKind.OVERFIT: {EpisodeKind.ENDS_EARLY},
    EpisodeKind.REPEATED_BATCHES: {EpisodeKind.ENDS_EARLY},
}
"""Kind -> kinds that are its consequences in the same run."""
ROLES = ("train", "valid", "rate", "norm")
SHARE_BELOW = 0.8
"""Share of the validation losses that lie below the training loss, from which it is said."""


@cache
def detectors() -> dict[str, Detector]:
    """Every kind of episode by the name of its file, in the order in which causes come before consequences."""
    return dict(sorted(scan(package, "DETECTOR", Detector).items(), key=lambda pair: pair[1].rank))


def measure(run: Prepared) -> dict[str, Measured | str]:
    """Name of a detector -> what it measures, or why it says nothing."""
    return {
        name: detector.measure(run) if run.count or not detector.name else "there is no finite value"
        for name, detector in detectors().items()
    }


def judge(run: RunCurve) -> CurveReading:
    """The episodes of a run, the first cause first, and the checks of which the run says nothing."""
    ready = prepare(run)
    found: list[Episode] = []
    not_judged: dict[str, str] = {}
    for name, measured in measure(ready).items():
        detector = detectors()[name]
        if isinstance(measured, str) or (run.growing and not detector.in_growing):
            not_judged[name] = measured if isinstance(measured, str) else "the run goes on"
            continue
        tail = envelope()[detector.name + measured.form] if detector.name else CERTAIN
        limit = max(tail.limit(measured.points), detector.least)
        if measured.statistic > limit and (one := detector.tell(ready, measured, tail)):
            found.append(replace(one, check=name))
    told, consequences = _without_consequences(found)
    told.sort(key=lambda one: one.onset if one.onset is not None else 0.0)
    episodes = (*told, *_notes(ready), *([] if any(one.level.is_finding for one in told) else [_healthy(ready)]))
    tracks = {role: series.track() for role in ROLES if len(series := getattr(run, role))}
    sentences = {name: detector.sentence for name, detector in detectors().items()}
    return CurveReading(
        run.source,
        run.file_format,
        run.unit,
        run.columns,
        tracks,
        episodes,
        run.notes,
        not_judged,
        consequences,
        sentences,
    )


def _without_consequences(found: list[Episode]) -> tuple[list[Episode], dict[str, str]]:
    """The episodes that no other explains, and the checks whose findings are explained -> by which."""
    cause = {other: one.check for one in reversed(found) for other in EXPLAINS.get(one.kind, set())}
    kept: list[Episode] = []
    gone: dict[str, str] = {}
    for one in found:
        same = next((earlier for earlier in kept if earlier.kind == one.kind), None)
        if one.kind in cause or same is not None:
            gone[one.check] = same.check if same is not None else cause[one.kind]
        else:
            kept.append(one)
    return kept, gone


def _notes(run: Prepared) -> list[Episode]:
    """What a person should know that counts against nothing."""
    if run.main is run.valid or len(run.valid) < 5:
        return []
    train = np.interp(run.valid.steps, run.steps, run.smooth)
    later = slice(1, None)
    below = run.valid.values[later] < train[later]
    if below.mean() < SHARE_BELOW:
        return []
    gap = float(np.median(train[later] - run.valid.values[later]))
    if gap < 0.01 * abs(run.first):
        return []
    evidence = f"the validation loss lies {gap:.3g} below the training loss, all the way"
    check = (
        "dropout, or a mean over an epoch, explains it; without them, see whether the sets share text, or "
        "the held-out text is easier"
    )
    return [Episode(EpisodeKind.VALIDATION_BELOW_TRAINING, Level.NOTE, None, evidence, check)]


def _healthy(run: Prepared) -> Episode:
    fall = f"the loss falls from {run.first:.4g} to {run.end:.4g}" if run.count else "there is nothing to judge"
    valid = f", in validation to {float(np.median(run.valid.values[-3:])):.4g}" if len(run.valid) >= 3 else ""
    return Episode(EpisodeKind.HEALTHY, Level.OK, None, f"{fall}{valid}; nothing lies outside what healthy runs show")
