"""The recipes of labelled curves: healthy runs of many shapes, runs with a fault, and whether the fault left a
trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from curve_runs import Curve, Recipe, make

H = Recipe()
HEALTHY = (
    replace(H, shape="cosine"),
    replace(H, shape="constant", schedule="constant", rate=5e-3),
    replace(H, shape="noisy", rows=1, steps=600, rate=5e-3),
    replace(H, shape="noisy-short", rows=2, steps=350),
    replace(H, shape="dropout", dropout=0.3, rows=4, steps=600),
    replace(H, shape="dropout-mean", dropout=0.2, log_every=10, log_mean=True, steps=500),
    replace(H, shape="steps", schedule="steps", rows=16, steps=450),
    replace(H, shape="restarts", schedule="restarts", steps=600),
    replace(H, shape="restarts-smooth", schedule="restarts", rows=32, steps=400),
    replace(H, shape="wsd", schedule="wsd", rows=16, log_every=5),
    replace(H, shape="linear", schedule="linear", steps=350, warmup=30),
    replace(H, shape="sgd", optimiser="sgd", rate=0.1, steps=600, clip=0.0),
    replace(H, shape="epochs", epoch_steps=100, steps=600),
    replace(H, shape="epochs-large", epoch_steps=60, rows=24, steps=300),
    replace(H, shape="keras", epoch_steps=30, steps=600, rows=12, by_epoch=True, dropout=0.1),
    replace(H, shape="sparse", log_every=20, steps=600, rows=16),
    replace(H, shape="fine-tune", pretrained=250, rate=3e-3, steps=300),
    replace(H, shape="smooth", rows=48, steps=300),
    replace(H, shape="no-clip", clip=0.0, rows=4, rate=8e-3, steps=500),
    replace(H, shape="long-warmup", warmup=120, steps=500),
    replace(H, shape="few-evaluation-rows", evaluation_rows=6, evaluate_every=10, steps=500),
    replace(H, shape="converged", tokens=60_000, rows=32, steps=600, schedule="linear", log_every=4),
)
"""Healthy runs of many shapes."""


def healthy(seed: int) -> tuple[Recipe, ...]:
    """The healthy shapes, whose rates and lengths differ from seed to seed."""
    random = np.random.default_rng([seed, 4])
    found = []
    for one in HEALTHY:
        rate, length = random.uniform(0.75, 1.3), random.uniform(0.85, 1.2)
        found.append(replace(one, rate=one.rate * float(rate), steps=int(one.steps * length)))
    return tuple(found)


def faults(seed: int) -> tuple[Recipe, ...]:
    """Recipes with a fault; places and sizes of the faults differ from seed to seed."""
    random = np.random.default_rng([seed, 3])
    at = int(random.integers(120, 280))
    few = {"tokens": int(random.integers(400, 900)), "evaluation_rows": 96}
    base = replace(H, rows=int(random.choice([4, 8, 16])), log_every=int(random.choice([1, 1, 5])))
    return (
        replace(base, kind="divergence", shape="growing", clip=0.0, fault_at=at, fault_size=1.04, steps=500),
        replace(base, kind="divergence", shape="jump", clip=0.0, fault_at=at, fault_size=80.0),
        replace(base, kind="nan", fault_at=at - at % base.log_every),
        replace(base, kind="overfit", steps=600, schedule="constant", **few),
        replace(
            base,
            kind="overfit",
            shape="keras",
            steps=600,
            by_epoch=True,
            epoch_steps=20,
            rows=8,
            log_every=1,
            schedule="constant",
            tokens=int(random.integers(600, 1500)),
            evaluation_rows=96,
        ),
        replace(base, kind="rate-low", rate=1e-2 * float(random.uniform(0.004, 0.015)), schedule="constant"),
        replace(base, kind="rate-low", shape="cosine", rate=1e-2 * float(random.uniform(0.004, 0.015))),
        replace(base, kind="rate-high", rate=float(random.uniform(0.4, 1.0)), schedule="constant"),
        replace(base, kind="spikes", shape="rate", fault_at=at // 2 + 20, fault_size=30.0, fault_count=3, log_every=1),
        replace(base, kind="spikes", shape="batch", fault_at=at // 2 + 20, fault_size=15.0, fault_count=3, log_every=1),
        replace(
            base,
            kind="repeated",
            shape="cycle",
            epoch_steps=int(random.integers(10, 50)),
            shuffled=False,
            log_every=1,
            rows=2,
            tokens=60_000,
            steps=500,
        ),
        replace(
            base,
            kind="repeated",
            shape="small",
            epoch_steps=int(random.integers(4, 12)),
            shuffled=False,
            log_every=1,
            rows=4,
            tokens=60_000,
            steps=400,
        ),
        replace(base, kind="resume", shape="weights", fault_at=at),
        replace(
            base, kind="resume", shape="moments", fault_at=at, schedule="constant", log_every=1, rows=16, beta2=0.999
        ),
        replace(base, kind="leak", shape="no-mask", causal=False, steps=600, rate=2e-2, rows=32),
        replace(base, kind="leak", shape="unshifted"),
        replace(base, kind="early", steps=int(random.integers(80, 160)), planned=600, log_every=1, evaluate_every=5),
    )


def is_visible(curve: Curve) -> bool:
    """Whether a fault leaves a trace at all: beside the same run without it, for the kinds that may leave none.

    A model without a mask may not have found out within the run; moments that were lost may be back at once; little
    data may not be learned by heart yet.
    """
    r = curve.recipe
    if r.kind == "overfit":
        return curve.clean[-1] - min(curve.clean) > 0.1
    if r.kind == "leak":
        twin = make(replace(r, kind="healthy", shape="", causal=True), curve.seed)
        return (twin.valid[-1] or twin.loss[-1]) - (curve.valid[-1] or curve.loss[-1]) > 0.5
    if r.kind == "resume" and r.shape == "moments":
        loss, at = np.array(curve.loss), r.fault_at
        noise = float(np.median(np.abs(np.diff(loss[at - 60 : at])))) * 1.4826 / np.sqrt(2)
        rise = float(loss[at + 1 : at + 12].mean() - loss[at - 12 : at].mean())
        return rise > 5 * noise * np.sqrt(1 / 11 + 1 / 12)
    return True
