"""The cases of AdamW with 8-bit moments: scripts of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.strategies.tensors import make, parameters, seeds
from specs.shared.optimizers import Groups, gradients_of, script, stepping, with_calls

SHAPES = (((64, 65),), ((4100,), (3, 5)), ((2, 33, 64), (7,)))
"""With more than 4096 numbers and with fewer: libraries do not quantize the moments of small parameters. None is a
multiple of 256, so that the last block is a short one."""


@st.composite
def cases(
    draw: st.DrawFn,
    shapes: Sequence[Sequence[tuple[int, ...]]] = SHAPES,
    grouped: bool = False,
    gaps: bool = False,
    decay: float | None = None,
    least: int = 1,
) -> Case:
    """One to three steps; gradients of about one size, so that a fraction of the largest is a fraction of each."""
    chosen = draw(st.sampled_from([s for s in shapes if len(s) > 1] if grouped or gaps else shapes))
    size, seed = draw(st.sampled_from((1.0, 1e-2, 30.0))), draw(seeds)
    count = draw(st.integers(least, 3))
    steps: list[list[Any]] = []
    for t in range(count):
        noise = [make("normal", shape, seed + 5 * t + i) for i, shape in enumerate(chosen)]
        steps.append([size * n.sign() * (0.5 + 0.3 * n.abs().clamp(max=3.0)) for n in noise])
    if gaps:
        steps[draw(st.integers(0, count - 1))][0] = None
    own = draw(st.sampled_from(({"weight_decay": 0.0}, {"lr": 0.02}, {"lr": 0.005, "weight_decay": 0.5})))
    both: Groups = [{"params": list(range(1, len(chosen))), **own}, {"params": [0]}]
    settings = {
        "lr": draw(st.sampled_from((0.1, 0.01))),
        "betas": draw(st.sampled_from(((0.9, 0.999), (0.9, 0.95), (0.8, 0.99)))),
        "eps": 1e-8,
        "weight_decay": draw(st.sampled_from((0.1, 0.3))) if decay is None else decay,
    }
    params = [draw(parameters(shape)) for shape in chosen]
    return script(params, steps, f"gradients of about {size:g}", both if grouped else None, **settings)


def grouped_cases() -> st.SearchStrategy[Case]:
    """With two parameter groups."""
    return cases(grouped=True)


def cases_with_gaps() -> st.SearchStrategy[Case]:
    """With missing gradients."""
    return cases(gaps=True, least=2)


def longer_cases() -> st.SearchStrategy[Case]:
    """With several steps."""
    return cases(least=2)


@st.composite
def half_idle_cases(draw: st.DrawFn) -> Case:
    """Every third number of every parameter never has a gradient; without decay and with."""
    case = draw(cases(decay=draw(st.sampled_from((0.0, 0.0, 0.2))), least=2))
    steps = []
    for grads in gradients_of(case):
        idle = [torch.arange(g.numel()).view(g.shape) % 3 == 1 for g in grads]
        steps.append(stepping([g.masked_fill(mask, 0.0) for g, mask in zip(grads, idle, strict=True)]))
    return with_calls(case, case.calls[0], *steps)


@st.composite
def outlier_cases(draw: st.DrawFn) -> Case:
    """One gradient a thousand times as large as all others."""
    case = draw(cases(shapes=(((64, 65),), ((8300,),)), least=2))
    steps = []
    for grads in gradients_of(case):
        (grad,) = (g.clone() for g in grads)
        grad.view(-1)[3] *= 1000.0
        steps.append(stepping([grad]))
    return with_calls(case, case.calls[0], *steps)


def wide_cases() -> st.SearchStrategy[Case]:
    """With matrices alone."""
    return cases(shapes=(((64, 65),), ((65, 64),)), least=2)


@st.composite
def large_cases(draw: st.DrawFn) -> Case:
    """A matrix of 128 x 128, and one step."""
    return draw(cases(shapes=(((128, 128),),)))
