"""The cases of AdamW: scripts of steps."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.tensors import make, parameters, seeds
from specs.shared.optimizers import Groups, gradients_of, script, stepping, with_calls

SHAPES = (((3, 4), (5,)), ((2, 3),), ((7,), (2, 2), ()), ((1, 3), (4, 2)))
RATES, DECAYS = (0.1, 0.03, 1e-3, 0.3), (0.1, 0.5, 0.01, 0.25)
BETAS, EPS = ((0.9, 0.999), (0.8, 0.95), (0.7, 0.99), (0.9, 0.95)), (1e-8, 1e-8, 1e-6, 1e-4)
OF_A_GROUP = ({"weight_decay": 0.0}, {"lr": 0.02, "weight_decay": 0.35}, {"lr": 0.05}, {"weight_decay": 0.7})
FAMILIES = ("normal", "small integers", "wide", "mixed scales", "tiny spread", "one-hot")


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    """lr, betas, eps and weight_decay."""
    return {
        "lr": draw(st.sampled_from(RATES)),
        "betas": draw(st.sampled_from(BETAS)),
        "eps": draw(st.sampled_from(EPS)),
        "weight_decay": draw(st.sampled_from(DECAYS)),
    }


@st.composite
def cases(draw: st.DrawFn, grouped: bool | None = None, gaps: bool | None = None, least: int = 1) -> Case:
    """One to three parameters, up to five steps; half of the cases have two groups, a third misses gradients."""
    choices = [s for s in SHAPES if len(s) > 1] if grouped or gaps else SHAPES
    shapes = draw(st.sampled_from(choices))
    params = [draw(parameters(shape)) for shape in shapes]
    family, count, seed = draw(st.sampled_from(FAMILIES)), draw(st.integers(least, 5)), draw(seeds)
    steps: list[list[Any]] = [[make(family, s, seed + 7 * t + i) for i, s in enumerate(shapes)] for t in range(count)]
    if gaps if gaps is not None else draw(st.integers(0, 2)) == 2:
        for _ in range(draw(st.integers(1, 2))):
            steps[draw(st.integers(0, count - 1))][draw(st.integers(0, len(shapes) - 1))] = None
    groups: Groups | None = None
    if len(shapes) > 1 and (grouped if grouped is not None else draw(st.booleans())):
        last = list(range(1, len(shapes)))
        group: dict[str, Any] = {"params": last, **draw(st.sampled_from(OF_A_GROUP))}
        first: dict[str, Any] = {"params": [0]}
        groups = [group, first] if draw(st.booleans()) else [first, group]
    return script(params, steps, family, groups, **draw(settings()))


def grouped_cases() -> st.SearchStrategy[Case]:
    """With two parameter groups."""
    return cases(grouped=True)


def cases_with_gaps() -> st.SearchStrategy[Case]:
    """With missing gradients."""
    return cases(gaps=True, least=2)


def longer_cases() -> st.SearchStrategy[Case]:
    """With several steps."""
    return cases(least=3)


@st.composite
def first_steps(draw: st.DrawFn) -> Case:
    """Gradients of ordinary size and no decay, where the first step is known without a reference."""
    shapes = draw(st.sampled_from(SHAPES))
    params = [draw(parameters(shape)) for shape in shapes]
    grads = [(g := make("normal", s, draw(seeds))).sign() * (0.5 + g.abs()) for s in shapes]
    chosen = {**draw(settings()), "eps": 1e-8, "weight_decay": 0.0}
    return script(params, [grads], "normal", **chosen)


@st.composite
def tiny_gradients(draw: st.DrawFn) -> Case:
    """Gradients as small as eps, where eps inside the root gives other numbers."""
    chosen = draw(settings())
    sizes = [chosen["eps"] * draw(st.sampled_from((1.0, 30.0, 0.3))) for _ in range(2)]
    params, seed = [draw(parameters((3, 2))), draw(parameters((4,)))], draw(seeds)
    shapes = [(place, size, param.shape) for place, (size, param) in enumerate(zip(sizes, params, strict=True))]
    steps = [
        [size * make("normal", shape, seed + 9 * t + place) for place, size, shape in shapes]
        for t in range(draw(st.integers(1, 3)))
    ]
    return script(params, steps, "as small as eps", **chosen)


@st.composite
def zero_gradients(draw: st.DrawFn) -> Case:
    """Every gradient is there and zero."""
    case = draw(cases(gaps=False))
    steps = [[torch.zeros_like(grad) for grad in grads] for grads in gradients_of(case)]
    return with_calls(case, case.calls[0], *map(stepping, steps))


@st.composite
def large_cases(draw: st.DrawFn) -> Case:
    """A matrix of 128 x 128, and one step."""
    shape = (128, 128)
    return script([draw(parameters(shape))], [[make("normal", shape, draw(seeds))]], "normal", **draw(settings()))
