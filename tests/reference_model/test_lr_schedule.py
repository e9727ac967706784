"""reference_model/lr_schedule.py against the schedulers of torch and of transformers."""

import pytest
import torch

from reference_model import lr_schedule


def stepped(make, peak, steps):
    """The rates of so many steps under a scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("warmup", "total"), [(10, 50), (0, 20), (1, 7), (12, 12)])
def test_equals_transformers(warmup, total):
    """With floor 0 it is get_cosine_schedule_with_warmup, up to the end (which goes on to 0 there as well)."""
    transformers = pytest.importorskip("transformers")
    expected = stepped(lambda o: transformers.get_cosine_schedule_with_warmup(o, warmup, total), 3e-4, total + 1)
    assert [lr_schedule(step, warmup, total, 3e-4) for step in range(total + 1)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_equals_torch(floor):
    """Without warm-up it is CosineAnnealingLR, which is computed step from step."""
    expected = stepped(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=30, eta_min=floor), 1.0, 31)
    assert [lr_schedule(step, 0, 30, 1.0, floor) for step in range(31)] == pytest.approx(expected, abs=1e-12)


def test_warm_up_equals_torch():
    """LambdaLR with the share of the steps done."""
    expected = stepped(lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: min(1.0, step / 8)), 2.0, 9)
    assert [lr_schedule(step, 8, 100, 2.0, 0.5) for step in range(9)] == pytest.approx(expected, abs=1e-15)


def test_the_table_of_cs336():
    """The rates that the tests of Stanford's CS336, assignment 1, expect of 7 steps of warm-up and 21 in all."""
    expected = [
        0,
        0.14285714285714285,
        0.2857142857142857,
        0.42857142857142855,
        0.5714285714285714,
        0.7142857142857143,
        0.8571428571428571,
        1.0,
        0.9887175604818206,
        0.9554359905560885,
        0.9018241671106134,
        0.8305704108364301,
        0.7452476826029011,
        0.6501344202803414,
        0.55,
        0.44986557971965857,
        0.3547523173970989,
        0.26942958916356996,
        0.19817583288938662,
        0.14456400944391146,
        0.11128243951817937,
        0.1,
        0.1,
        0.1,
        0.1,
    ]
    assert [lr_schedule(it, 7, 21, 1.0, 0.1) for it in range(25)] == pytest.approx(expected, abs=1e-12)


def test_joints_and_ends():
    """The peak, the floor and nothing beyond, exactly."""
    assert lr_schedule(0, 5, 20, 0.3, 0.1) == 0
    assert lr_schedule(5, 5, 20, 0.3, 0.1) == pytest.approx(0.3, rel=1e-15)
    assert [lr_schedule(step, 5, 20, 0.3, 0.1) for step in (20, 21, 1000)] == [0.1, 0.1, 0.1]
    assert lr_schedule(0, 0, 20, 0.3) == 0.3
    assert [lr_schedule(step, 4, 4, 0.4, 0.1) for step in (1, 4, 5)] == [0.1, 0.4, 0.1]
