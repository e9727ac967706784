"""Known mistakes of training scripts are caught and named with their line; scripts that are right are left alone.

A few of each here; all, with three seeds, under PLUMBLINE_FULL, as `plumbline matrix --training` does.
"""

from __future__ import annotations

import os
import random

import pytest
import torch
from support_scripts import HEALTHY, SCRIPTS

from harness.training.trials import script_mistakes, try_healthy, try_mistake

FULL = bool(os.environ.get("PLUMBLINE_FULL"))
SAMPLE = (
    "zero_grad_named_not_called",
    "clip_before_unscale",
    "targets_shifted_the_wrong_way",
    "causal_mask_off_by_one",
    "evaluation_in_training_mode",
    "optimizer_not_loaded",
    "tied_weights_copied",
    "base_not_frozen",
    "model_loaded_after_the_copy",
    "average_never_updated",
    "average_shares_the_weights",
    "evaluation_loads_the_average",
    "logged_loss_of_a_micro_batch",
    "logged_loss_of_the_evaluation",
)
"""One or two of each topic."""
MISTAKES = [m for m in script_mistakes() if FULL or m.name in SAMPLE]
RIGHT = sorted(HEALTHY.glob("*.py"))
JUDGED = [*(p for p in sorted(SCRIPTS.glob("*.py")) if p.stem != "__init__"), *RIGHT]
CASES = [(path, seed) for path in JUDGED for seed in range(3)] if FULL else [(path, 0) for path in JUDGED[::9]]


@pytest.fixture(autouse=True)
def _unchanged_seeds() -> object:
    """The scripts set seeds; no other test shall see that."""
    state, python = torch.get_rng_state(), random.getstate()
    yield
    torch.set_rng_state(state)
    random.setstate(python)


def test_the_sample_exists() -> None:
    """Every name of the sample is one of the catalogue, and there are enough healthy scripts."""
    assert set(SAMPLE) <= {mistake.name for mistake in script_mistakes()}
    assert len(RIGHT) >= 30


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_a_mistake_is_caught_and_named_with_its_line(mistake) -> None:
    """Within its steps, a finding of one of its kinds shows one of its lines."""
    if mistake.missed_because:
        pytest.xfail(mistake.missed_because)
    trial = try_mistake(mistake)
    assert trial.caught and trial.named and trial.placed, trial


@pytest.mark.parametrize(("path", "seed"), CASES, ids=lambda value: getattr(value, "stem", str(value)))
def test_a_healthy_script_is_left_alone(path, seed) -> None:
    """Nothing is found, and its steps were seen."""
    trial = try_healthy(path, seed)
    assert not trial.found and not trial.crash, trial


def test_a_script_without_any_backward_pass_is_not_judged() -> None:
    """Gradients by torch.func and a dictionary of parameters: no step is seen, nothing is found, and that is said."""
    (path,) = (HEALTHY.parent / "not_judged").glob("*.py")
    trial = try_healthy(path)
    assert not trial.found and trial.crash == "no step was seen"
