"""reference_model/adamw.py against torch.optim.AdamW and closed forms."""

import pytest
import torch

from reference_model import adamw


def gradients(steps, shapes, dtype, seed=0):
    source = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=source, dtype=dtype) for shape in shapes] for _ in range(steps)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("foreach", [False, True])
def test_equals_torch(dtype, foreach):
    """Two groups, settings of their own, a gradient that is missing now and then."""
    shapes = ((3, 4), (5,), ())
    params = [grad.clone() for grad in gradients(1, shapes, dtype, 7)[0]]
    theirs = [torch.nn.Parameter(param.clone()) for param in params]
    settings = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.2}
    optimizer = torch.optim.AdamW(
        [{"params": theirs[:2], "lr": 0.02}, {"params": theirs[2:], "weight_decay": 0.7}], foreach=foreach, **settings
    )
    ours = adamw(params, [{"params": [0, 1], "lr": 0.02}, {"params": [2], "weight_decay": 0.7}], **settings)
    for at, grads in enumerate(gradients(7, shapes, dtype)):
        grads[at % 3] = None if at in (0, 3, 4) else grads[at % 3]
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = grad
        optimizer.step()
        for mine, param in zip(ours.step(grads), theirs, strict=True):
            torch.testing.assert_close(mine, param.detach())


def test_saved_state_is_torch_s():
    """The moments and the counter of torch's state_dict."""
    param, grads = torch.ones(3), gradients(3, ((3,),), torch.float32)
    theirs = torch.nn.Parameter(param.clone())
    optimizer, ours = torch.optim.AdamW([theirs], lr=0.1), adamw([param], lr=0.1)
    for (grad,) in grads:
        theirs.grad = grad
        optimizer.step()
        ours.step([grad])
    kept, state = optimizer.state_dict()["state"][0], ours.state()
    torch.testing.assert_close(state["first"][0], kept["exp_avg"])
    torch.testing.assert_close(state["second"][0], kept["exp_avg_sq"])
    assert state["counts"] == [int(kept["step"])]


def test_closed_forms():
    """A constant gradient moves by lr g / (|g| + eps) in every step; zeros leave the decay alone at work."""
    grad = torch.tensor([1e-6, -3.0], dtype=torch.float64)
    moved = adamw([torch.zeros(2, dtype=torch.float64)], lr=0.1, eps=1e-6, weight_decay=0.0)
    for step in range(1, 6):
        (param,) = moved.step([grad])
        torch.testing.assert_close(param, -0.1 * step * grad / (grad.abs() + 1e-6))
    decays = adamw([torch.ones(2, dtype=torch.float64)], lr=0.1, weight_decay=0.5)
    for step in range(1, 4):
        torch.testing.assert_close(
            decays.step([torch.zeros(2, dtype=torch.float64)])[0], torch.full((2,), 0.95**step, dtype=torch.float64)
        )


@pytest.mark.parametrize(
    "wrong", [{"lr": -1.0}, {"eps": -1e-8}, {"weight_decay": -0.1}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}]
)
def test_refuses_impossible_settings(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values()))).strip("()")[:4]):
        adamw([torch.ones(2)], **wrong)


@pytest.mark.parametrize("places", [[[0], [0, 1]], [[0]], [[0, 1, 2]]])
def test_every_parameter_is_in_one_group(places):
    with pytest.raises(ValueError, match="in one group each"):
        adamw([torch.ones(2), torch.ones(3)], [{"params": group} for group in places])


def test_refuses_the_state_of_other_parameters():
    with pytest.raises(ValueError, match=r"the state of parameter 0 is \[2\], it is \[3\]"):
        adamw([torch.ones(3)]).load(adamw([torch.ones(2)]).state())


def test_parameters_and_state_are_its_own():
    """Neither the tensors it was built with nor a saved state are changed by later steps."""
    param = torch.ones(2)
    optimizer = adamw([param], lr=0.1)
    optimizer.step([torch.ones(2)])
    state = optimizer.state()
    optimizer.step([torch.ones(2)])
    assert torch.equal(param, torch.ones(2)) and state["counts"] == [1]
    assert float(state["first"][0][0]) == pytest.approx(0.1)
