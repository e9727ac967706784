"""A loss that is NaN or infinite."""

from __future__ import annotations

import numpy as np

from harness.core.curve import Episode, EpisodeKind, Level
from harness.curves.envelope import Tail
from harness.curves.episodes._detector import Detector, Measured
from harness.curves.prepared import Prepared


def measure(run: Prepared) -> Measured | str:
    """1 where a loss is not finite, else 0."""
    return Measured(float(run.broken_at is not None))


def tell(run: Prepared, measured: Measured, tail: Tail) -> Episode | None:
    """Where it begins, what was there before, and whether it goes away again."""
    if run.broken_at is None:
        return None
    at = run.broken_at
    series = run.run.train if len(run.run.train.until(at)) and _broken(run.run.train, at) else run.run.valid
    later = series.since(at).values
    lost = int((~np.isfinite(later)).sum())
    name = "training" if series is run.run.train else "validation"
    before = f", after {series.until(at).finite.values[-1]:.4g} before" if len(series.until(at).finite) else ""
    stays = "and stays so" if lost == len(later) else f"{lost} of {len(later)} values from there on"
    evidence = f"the {name} loss is {later[0]:g} at {run.run.at(at)}{before}, {stays}{_norm(run, at)}"
    check = (
        "`plumbline inspect` at this step; look at the batch (are all targets ignored? 0/0), at logarithms "
        "and divisions in the "
        "loss, at the range of float16"
    )
    return Episode(EpisodeKind.NAN, Level.ERROR, at, evidence, check, false_alarm=0.0)


def _broken(series: object, at: float) -> bool:
    values = series.until(at).values  # type: ignore[attr-defined]
    return bool(len(values)) and not np.isfinite(values[-1])


def _norm(run: Prepared, at: float) -> str:
    before = run.run.norm.until(at).finite.values
    if len(before) < 10:
        return ""
    grown = float(np.median(before[-5:]) / max(np.median(before), 1e-12))
    if grown > 3:
        return f"; the gradient norm had grown to {grown:.3g} times its median"
    return "; the gradient norm was as usual before, so one batch or one operation did it"


SENTENCE = "every loss is a finite number"
DETECTOR = Detector(EpisodeKind.NAN, "", SENTENCE, measure, tell, 10)
