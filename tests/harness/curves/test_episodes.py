"""What is seen in real runs: each kind of fault, and healthy runs that look suspicious.

Each run takes under a second. PLUMBLINE_FULL=1 trains every recipe of two seeds that set no limit.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from curve_recipes import HEALTHY, faults, healthy, is_visible
from curve_runs import Curve, Recipe, make
from curve_table import FORMS, as_dict, in_form, is_right, onset_error

from harness.core.curve import CurveReading, EpisodeCause, EpisodeKind, Level
from harness.curves.columns import curve_of
from harness.curves.envelope import Tail, envelope, tail_of
from harness.curves.judging import detectors, judge
from harness.curves.readers.json_document import table_of

FULL = bool(os.environ.get("PLUMBLINE_FULL"))
SEED = 101
SUSPICIOUS = ("noisy-short", "restarts-smooth", "fine-tune")
"""Healthy shapes that are tried here: single values that jump, restarts of the rate, a start from trained weights."""


@lru_cache(maxsize=64)
def trained(recipe: Recipe) -> Curve:
    return make(recipe, SEED)


def reading_of(curve: Curve, form: str = FORMS[0]) -> CurveReading:
    run = in_form(as_dict(curve, True), form)
    assert run is not None
    return judge(run)


def fault(kind: str, shape: str = "") -> Recipe:
    return next(one for one in faults(SEED) if one.kind == kind and shape in ("", one.shape))


@pytest.mark.parametrize("shape", SUSPICIOUS)
def test_healthy_runs_are_left_alone(shape: str) -> None:
    recipe = next(one for one in HEALTHY if one.shape == shape)
    found = reading_of(trained(recipe))
    assert found.is_healthy and found.episodes[-1].kind == EpisodeKind.HEALTHY


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("divergence", "growing"),
        ("nan", ""),
        ("overfit", "keras"),
        ("rate-low", "cosine"),
        ("rate-high", ""),
        ("spikes", "batch"),
        ("repeated", "cycle"),
        ("resume", "weights"),
        ("leak", "unshifted"),
        ("early", ""),
    ],
)
def test_a_fault_is_named_with_its_onset(kind: str, shape: str) -> None:
    """The episode names the cause, begins where the fault shows, and says how seldom healthy runs show as much."""
    curve = trained(fault(kind, shape))
    found = reading_of(curve)
    assert is_right(as_dict(curve, True), found), found.episodes
    error = onset_error(as_dict(curve, True), found)
    assert error is None or error <= 0.1
    for one in found.findings:
        assert one.evidence and one.next_check and one.false_alarm is not None and one.false_alarm <= 0.001


def test_a_lost_state_is_told_from_lost_weights() -> None:
    """Moments that are empty, with the weights kept: a bump that comes back slowly."""
    recipe = replace(fault("resume", "moments"), rate=5e-2, rows=32, fault_at=200)
    found = reading_of(trained(recipe))
    assert [(one.kind, one.cause) for one in found.findings] == [
        (EpisodeKind.RESUME_JUMP, EpisodeCause.OPTIMISER_STATE_LOST)
    ]
    assert found.findings[0].onset == pytest.approx(200, abs=8)


def test_validation_below_training_is_a_note() -> None:
    """Dropout makes the training loss the larger one; nothing is wrong with that."""
    steps = np.arange(400)
    noise = np.random.default_rng(1).normal(0, 0.05, 400)
    train = 2.4 + 2.1 * np.exp(-steps / 60) - steps / 4000 + noise
    valid = [float(train[s] - noise[s] - 0.3) if s % 20 == 0 else None for s in steps]
    found = judged(steps, train, valid)
    assert [one.kind for one in found.episodes] == [EpisodeKind.VALIDATION_BELOW_TRAINING, EpisodeKind.HEALTHY]
    assert found.is_healthy and found.episodes[0].level == Level.NOTE


def judged(
    steps: np.ndarray, train: np.ndarray, valid: list[float | None] | None = None, growing: bool = False
) -> CurveReading:
    columns = {"step": steps, "loss": train, **({"val_loss": valid} if valid is not None else {})}
    return judge(curve_of(table_of(columns, "test"), "test", growing=growing))


def falling(count: int = 400, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(count)
    return steps, 2 + 2.5 * np.exp(-steps / 40) + np.random.default_rng(3).normal(0, noise, count)


def test_what_is_not_known_is_said() -> None:
    """A curve that is too short is not judged, check by check, with the reason."""
    found = judged(np.arange(5), np.linspace(4, 3, 5))
    assert {"divergence", "overfit", "leak"} <= set(found.not_judged)
    assert "8 values" in found.not_judged["divergence"]


def test_few_classes_may_be_learned_without_a_loss() -> None:
    """A loss that begins at ln 10 and goes to nothing is no leak."""
    steps, train = falling(noise=0.005)
    found = judged(steps, (train - 1.99) * 2.3 / 2.5, None)
    assert EpisodeKind.LEAK not in [one.kind for one in found.episodes]


def test_other_losses_than_cross_entropy_may_fall_to_any_level() -> None:
    """A squared error that begins at 500."""
    steps, train = falling(noise=0.005)
    found = judged(steps, (train - 1.98) * 200, None)
    assert "no cross-entropy" in found.not_judged["leak"]


def test_a_run_that_goes_on_is_not_blamed_for_its_end() -> None:
    steps = np.arange(120)
    train = 4.5 - steps / 60 + np.random.default_rng(2).normal(0, 0.03, 120)
    assert [one.kind for one in judged(steps, train).findings] == [EpisodeKind.ENDS_EARLY]
    assert judged(steps, train, growing=True).is_healthy


def test_a_consequence_is_told_with_its_cause_only() -> None:
    """A loss that leaves for good also ends far above the best validation loss: that is not overfitting."""
    steps, train = falling()
    train = train + np.where(steps > 300, (steps - 300) / 20, 0)
    valid = [float(v) if s % 10 == 0 else None for s, v in zip(steps, train, strict=True)]
    found = judged(steps, train, valid)
    assert [one.kind for one in found.findings] == [EpisodeKind.DIVERGENCE]
    assert found.findings[0].onset == pytest.approx(300, abs=15)


def test_infinite_and_huge_losses() -> None:
    steps, train = falling()
    train[350:] = np.inf
    assert judged(steps, train).findings[0].kind == EpisodeKind.NAN
    train[350:] = 1e30
    assert judged(steps, train).findings[0].kind == EpisodeKind.DIVERGENCE
    train[:] = np.nan
    assert judged(steps, train).findings[0].onset == 0


def test_a_constant_loss_learns_nothing() -> None:
    steps = np.arange(200)
    found = judged(steps, np.full(200, 4.6))
    assert [(one.kind, one.cause) for one in found.findings] == [(EpisodeKind.PLATEAU, EpisodeCause.UNKNOWN)]


def test_every_statistic_has_its_tail() -> None:
    """The shipped table knows each check, from some hundred runs; a limit lies beyond every healthy run of it."""
    known = envelope()
    for detector in detectors().values():
        if detector.name:
            tails = [tail for name, tail in known.items() if name.split(".")[0] == detector.name]
            assert sum(tail.runs for tail in tails) >= 200, detector.name
            assert all(tail.limit() >= tail.most for tail in tails)


def test_the_tail_of_an_exponential_is_found() -> None:
    """One in a thousand of an exponential distribution lies above ln 1000."""
    values = np.random.default_rng(0).exponential(1, 20_000).tolist()
    tail = tail_of(values)
    fitted = Tail(tail.start, tail.scale, 0.0, tail.runs)
    assert fitted.limit() == pytest.approx(np.log(1000), rel=0.05)
    assert fitted.probability(np.log(1000)) == pytest.approx(0.001, rel=0.2)
    assert fitted.limit(5000) - fitted.limit(500) == pytest.approx(tail.scale * np.log(10))


@pytest.mark.skipif(not FULL, reason="PLUMBLINE_FULL=1 trains every recipe of two seeds, which takes two minutes")
@pytest.mark.parametrize("seed", [102, 103])
def test_every_recipe(seed: int) -> None:
    """Faults that leave a trace are named, 19 of 20; of the healthy runs, one in fifty may be flagged."""
    wrong = {"healthy": [], "fault": []}
    count = {"healthy": 0, "fault": 0}
    for recipe in (*healthy(seed), *faults(seed)):
        curve = make(recipe, seed)
        if not is_visible(curve):
            continue
        which = "healthy" if recipe.kind == "healthy" else "fault"
        count[which] += 1
        if not is_right(as_dict(curve, True), reading_of(curve)):
            wrong[which].append(curve.name)
    assert len(wrong["healthy"]) <= 1 and len(wrong["fault"]) <= 1, wrong
