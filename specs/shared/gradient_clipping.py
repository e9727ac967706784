"""Clipping by the total norm: the cases, and the form of the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation
from harness.strategies.tensors import make, seeds

Gradients = list["torch.Tensor | None"]
"""One gradient for every parameter; None where a parameter has none."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to four tensors of up to three axes and different sizes; max_norm above, below and far below their norm.

    Norms above and below 1, where a number and its square lie on different sides.
    """
    shapes = draw(st.sampled_from((((3, 4), (5,)), ((2, 3), (3,), (4, 2)), ((7,),), ((2, 3, 2), (6, 2), (), (4,)))))
    sizes = draw(
        st.sampled_from(((1.0, 1.0, 1.0, 1.0), (0.02, 0.05, 0.03, 0.01), (1.0, 5.0, 0.3, 2.0), (20.0, 1.0, 4.0, 0.1)))
    )
    seed, family = draw(seeds), draw(st.sampled_from(("normal", "wide", "small integers", "normal")))
    grads = [size * make(family, shape, seed + i) for i, (shape, size) in enumerate(zip(shapes, sizes, strict=False))]
    grads[0].reshape(-1)[0] += 2.0 * sizes[0]  # not all zeros
    times = draw(st.sampled_from((0.5, 2.0, 0.1, 0.9, 1.5, 0.01)))
    arguments = {"grads": grads, "max_norm": times * norm_of(grads)}
    return Case.of(arguments, family=f"{family}, limit {times:g} times the norm")


@st.composite
def missing_cases(draw: st.DrawFn) -> Case:
    """Some parameters have no gradient, the first or the last among them."""
    case = draw(cases())
    grads = list(case.arguments["grads"])
    for place in draw(st.sampled_from(((0,), (len(grads),), (0, 1), (1,)))):
        grads.insert(place, None)
    return case.changed(grads=grads)


@st.composite
def zero_cases(draw: st.DrawFn) -> Case:
    """All gradients are zero, as in a first step with a head of zeros."""
    shapes = draw(st.sampled_from((((3, 4), (5,)), ((2,),), ((2, 2), (3,), (1,)))))
    grads = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    return Case.of({"grads": grads, "max_norm": draw(st.sampled_from((1.0, 0.5)))}, family="zeros")


@st.composite
def empty_cases(draw: st.DrawFn) -> Case:
    """No gradient at all."""
    return Case.of({"grads": [], "max_norm": draw(st.sampled_from((1.0, 0.5, 2.0)))}, family="no gradients")


@st.composite
def nonfinite_cases(draw: st.DrawFn) -> Case:
    """NaN or an infinity in one of the tensors."""
    case = draw(cases())
    grads = [grad.clone() for grad in case.arguments["grads"]]
    which = draw(st.integers(0, len(grads) - 1))
    grads[which].reshape(-1)[-1] = draw(st.sampled_from((math.nan, math.inf, -math.inf)))
    return case.changed(grads=grads)


def norm_of(grads: Sequence[torch.Tensor | None]) -> float:
    """The norm of all gradients together."""
    return math.sqrt(sum(float(grad.double().pow(2).sum()) for grad in grads if grad is not None))


def given(trial: Trial, case: Case | None = None) -> Gradients:
    """The gradients that it was given, in the working precision."""
    grads: Gradients = (case or trial.case).cast(trial.dtype).arguments["grads"]
    return grads


def returned(trial: Trial, case: Case | None = None) -> tuple[Gradients, torch.Tensor]:
    """(clipped, norm), after checking their types, shapes and dtypes."""
    value: Any = trial.run(case).value
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise Violation("it must return the clipped gradients and the norm: (list, number)")
    clipped, norm = value
    if not torch.is_tensor(norm) or norm.shape != ():
        raise Violation("it must return the norm before clipping as a scalar tensor")
    if not isinstance(clipped, (list, tuple)):
        raise Violation("the first value it returns must be a list of the clipped gradients")
    grads = given(trial, case)
    if len(clipped) != len(grads):
        raise Violation(f"it was given {len(grads)} gradients and returns {len(clipped)}")
    for i, (before, after) in enumerate(zip(grads, clipped, strict=True)):
        if (before is None) != (after is None):
            raise Violation(
                f"grads[{i}] was {'a tensor' if after is None else 'None'} and is returned as something else"
            )
        if before is not None and not _is_like(after, before):
            raise Violation(f"grads[{i}] is returned in another shape or dtype")
    return list(clipped), norm


def _is_like(found: Any, tensor: torch.Tensor) -> bool:
    return torch.is_tensor(found) and (found.shape, found.dtype) == (tensor.shape, tensor.dtype)


def largest(grads: Gradients) -> float:
    """The largest absolute number in any of them."""
    return max((float(grad.abs().max()) for grad in grads if grad is not None and grad.numel()), default=0.0)
