"""Clipping by the norm of all gradients together.

Whether 1e-6 is added to the norm before it divides (torch, CS336) or nothing is (Pascanu et al.), is nobody's mistake: the
claims below say everything that is promised, and allow for it. What code in place leaves in ``.grad`` is judged alike
(specs/naming/dialects.py).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from harness.strategies.tensors import make, seeds
from reference_model.clip_grad_norm import clip_grad_norm
from specs.naming.dialects import CLIPS

EPSILON = 2e-6
"""What may be added to the norm before it divides: torch adds 1e-6, Pascanu et al. nothing; as much again for float32."""
ROUNDING = 32.0
"""Units of rounding between two ways to the same number: a square, a sum of 60, a root, a quotient and a product lose
8 at most in any order; times four."""
Gradients = list["torch.Tensor | None"]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to four tensors of up to three axes, of many sizes; the limit above, below and far below their norm."""
    shapes = draw(st.sampled_from((((3, 4), (5,)), ((2, 3), (3,), (4, 2)), ((7,),), ((2, 3, 2), (6, 2), (), (4,)))))
    sizes = draw(st.sampled_from(((1.0, 1.0, 1.0, 1.0), (1.0, 5.0, 0.3, 2.0), (20.0, 1.0, 4.0, 0.1))))
    seed, family = draw(seeds), draw(st.sampled_from(("normal", "wide", "small integers", "normal")))
    grads: Gradients = [
        s * make(family, shape, seed + i) for i, (shape, s) in enumerate(zip(shapes, sizes, strict=False))
    ]
    first = grads[0]
    assert first is not None
    first.reshape(-1)[0] += 2.0 * sizes[0]  # never nothing but zeros
    times = draw(st.sampled_from((0.5, 2.0, 0.1, 0.9, 1.5, 0.01)))
    return Case.of(
        {"grads": grads, "max_norm": times * norm_of(grads)}, family=f"{family}, limit {times:g} times the norm"
    )


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
    """Nothing but zeros: what a first step with a zeroed head has."""
    shapes = draw(st.sampled_from((((3, 4), (5,)), ((2,),), ((2, 2), (3,), (1,)))))
    grads = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    return Case.of({"grads": grads, "max_norm": draw(st.sampled_from((1.0, 0.5)))}, family="zeros")


@st.composite
def empty_cases(draw: st.DrawFn) -> Case:
    """No gradient at all."""
    return Case.of({"grads": [], "max_norm": draw(st.sampled_from((1.0, 0.5, 2.0)))}, family="no gradients")


@st.composite
def spoiled_cases(draw: st.DrawFn) -> Case:
    """A nan or an infinite number in one of the tensors."""
    case = draw(cases())
    grads = [grad.clone() for grad in case.arguments["grads"]]
    which = draw(st.integers(0, len(grads) - 1))
    grads[which].reshape(-1)[-1] = draw(st.sampled_from((math.nan, math.inf, -math.inf)))
    return case.changed(grads=grads)


# what came back ------------------------------------------------------------------------------------------------------


def norm_of(grads: Gradients) -> float:
    return math.sqrt(sum(float(grad.double().pow(2).sum()) for grad in grads if grad is not None))


def given(trial: Trial, case: Case | None = None) -> Gradients:
    """The gradients as they were handed over, in the working precision."""
    return (case or trial.case).cast(trial.dtype).arguments["grads"]


def returned(trial: Trial, case: Case | None = None) -> tuple[Gradients, torch.Tensor]:
    """(clipped, norm), checked to be of the promised kind, shape by shape."""
    value: Any = trial.run(case).value
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise Violation("it must return the clipped gradients and the norm: (list, number)")
    clipped, norm = value
    if not torch.is_tensor(norm) or norm.shape != ():
        raise Violation("it must return the norm before clipping as a scalar tensor")
    if not isinstance(clipped, (list, tuple)):
        raise Violation("the first value it returns must be a list of the clipped gradients")
    asked = given(trial, case)
    if len(clipped) != len(asked):
        raise Violation(f"it was given {len(asked)} gradients and returns {len(clipped)}")
    for i, (ours, theirs) in enumerate(zip(asked, clipped, strict=True)):
        if (ours is None) != (theirs is None):
            raise Violation(
                f"grads[{i}] was {'None' if ours is None else 'a tensor'} and is returned as something else"
            )
        if ours is not None and (
            not torch.is_tensor(theirs) or (theirs.shape, theirs.dtype) != (ours.shape, ours.dtype)
        ):
            raise Violation(f"grads[{i}] is returned in another shape or dtype")
    return list(clipped), norm


def offers_the_norm(trial: Trial) -> None:
    if "norm" in trial.offer.absent:
        raise NotSupported("it returns no norm")


def expected(trial: Trial, case: Case | None = None) -> tuple[Gradients, float, float]:
    """What the gradients must be, their norm before, and by how much of itself each of them may be off."""
    grads, limit = given(trial, case), (case or trial.case).arguments["max_norm"]
    norm = norm_of(grads)
    share = min(1.0, limit / norm) if norm else 1.0
    off = ROUNDING * torch.finfo(trial.dtype).eps + (EPSILON / norm if norm and limit < norm + EPSILON else 0.0)
    return [None if grad is None else grad.double() * share for grad in grads], norm, off


def largest(grads: Gradients) -> float:
    return max((float(grad.abs().max()) for grad in grads if grad is not None and grad.numel()), default=0.0)


def clipped_as_expected(trial: Trial, what: str, case: Case | None = None) -> None:
    """Every tensor of the answer against what it must be."""
    clipped, _ = returned(trial, case)
    wanted, _, off = expected(trial, case)
    for i, (theirs, ours) in enumerate(zip(clipped, wanted, strict=True)):
        if ours is not None:
            trial.close(theirs, ours, off * largest(wanted), f"{what}, grads[{i}]")


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "it returns every gradient in its shape and dtype",
    broken_by="generator_consumed",
    aliases=("every_gradient_comes_back",),
)
def returns_every_gradient(trial: Trial) -> None:
    returned(trial)


@claim(
    "it returns the total norm of all gradients before clipping",
    broken_by="norm_after_clipping",
    aliases=("norm_of_all_before_clipping",),
)
def returns_total_norm_before_clipping(trial: Trial) -> None:
    """In a case above the limit the norm after would be the limit."""
    offers_the_norm(trial)
    _, norm = returned(trial)
    _, wanted, _ = expected(trial)
    if bool(norm.isnan()):
        raise Violation("the norm is NaN, or none was returned; return the norm before clipping")
    bound = ROUNDING * torch.finfo(trial.dtype).eps * wanted
    trial.close(norm, torch.tensor(wanted, dtype=norm.dtype), bound, "the norm")


@claim(
    "every tensor is scaled by the same factor: the direction is preserved",
    broken_by="clipped_per_tensor",
    aliases=("one_share_for_all",),
)
def direction_preserved(trial: Trial) -> None:
    """The direction of all gradients together is kept: each tensor is the same multiple of what it was."""
    clipped, _ = returned(trial)
    grads, after, before = given(trial), norm_of(clipped), norm_of(given(trial))
    if not after:
        raise Violation("all returned gradients are zero")
    off = ROUNDING * torch.finfo(trial.dtype).eps
    for i, (theirs, ours) in enumerate(zip(clipped, grads, strict=True)):
        if theirs is not None and ours is not None:
            bound = off * largest(grads) / before
            trial.close(theirs.double() / after, ours.double() / before, bound, f"the direction of grads[{i}]")


@claim(
    "above max_norm, the total norm after clipping is max_norm",
    broken_by="never_clipped",
    aliases=("as_long_as_the_limit",),
)
def norm_equals_max_norm_after_clipping(trial: Trial) -> None:
    limit, norm = trial.case.arguments["max_norm"], norm_of(given(trial))
    if norm <= limit:
        trial.not_applicable()
    trial.run(
        trial.case.changed(max_norm=2 * norm)
    )  # judged by another claim: what it answers tells two mistakes apart
    clipped_norm = torch.tensor(norm_of(returned(trial)[0]), dtype=torch.float64)
    bound = expected(trial)[2] * limit
    trial.close(clipped_norm, torch.full_like(clipped_norm, limit), bound, "the norm of the returned gradients")


@claim("each gradient is multiplied by min(1, max_norm / norm)", broken_by="sign_lost", aliases=("each_is_scaled",))
def scaled_by_max_norm_over_norm(trial: Trial) -> None:
    limit, norm = trial.case.arguments["max_norm"], norm_of(given(trial))
    if norm > limit:
        trial.run(trial.case.changed(max_norm=2 * norm))  # as above
    clipped_as_expected(trial, "above the limit" if norm > limit else "below the limit")


@claim("below max_norm the gradients are unchanged", broken_by="always_scaled", aliases=("unchanged_below_the_limit",))
def unchanged_below_max_norm(trial: Trial) -> None:
    """The same gradients under a limit of twice their norm, and of infinity, which measures only."""
    norm = norm_of(trial.case.arguments["grads"])
    for limit in (2.0 * norm, math.inf):
        case = trial.case.changed(max_norm=limit)
        clipped_as_expected(trial, f"under a limit of {limit:g}", case)


@claim(
    "the result does not depend on how the numbers are split into tensors",
    broken_by="norms_summed",
    max_cases=16,
    aliases=("cuts_do_not_matter",),
)
def independent_of_tensor_splits(trial: Trial) -> None:
    """The numbers of all tensors in a single one: the same norm, and the same numbers come back."""
    grads, limit = trial.case.arguments["grads"], trial.case.arguments["max_norm"]
    together = torch.cat([grad.reshape(-1) for grad in grads])
    case = Case.of({"grads": [together], "max_norm": limit}, family=trial.case.family)
    (whole,), norm = returned(trial, case)
    clipped, norm_of_pieces = returned(trial)
    assert whole is not None
    bound = 2 * ROUNDING * torch.finfo(trial.dtype).eps
    pieces = torch.cat([piece.reshape(-1) for piece in clipped if piece is not None])
    trial.close(norm_of_pieces, norm, bound * float(norm), "the norm, compared with that of all numbers in one tensor,")
    trial.close(pieces, whole, bound * largest([whole]), "out, compared with all numbers in one tensor,")


@claim(
    "a gradient of None is ignored",
    broken_by="missing_gradient_raises",
    cases=missing_cases,
    max_cases=12,
    aliases=("missing_gradients_count_for_nothing",),
)
def none_gradients_are_ignored(trial: Trial) -> None:
    _, norm = returned(trial)
    _, wanted, off = expected(trial)
    trial.close(norm, torch.tensor(wanted, dtype=norm.dtype), off * wanted, "with a gradient of None, the norm")
    clipped_as_expected(trial, "with a gradient of None")


@claim(
    "all-zero gradients have norm 0 and stay zero",
    broken_by="zero_gradients_become_nan",
    cases=zero_cases,
    max_cases=8,
    aliases=("zeros_stay_zeros",),
)
def zeros_stay_zero(trial: Trial) -> None:
    clipped, norm = returned(trial)
    if any(bool((grad != 0).any()) for grad in clipped if grad is not None):
        raise Violation("all-zero gradients are changed")
    if float(norm) != 0:
        raise Violation(f"the norm of all-zero gradients is {float(norm):g}")


@claim(
    "an empty list of gradients has norm 0",
    broken_by="norm_without_gradients_is_nan",
    cases=empty_cases,
    max_cases=4,
    aliases=("nothing_has_norm_zero",),
)
def empty_list_has_norm_zero(trial: Trial) -> None:
    answer = trial.attempt()
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} for an empty list of gradients")
    clipped, norm = returned(trial)
    if clipped or float(norm) != 0:
        raise Violation(f"the norm of an empty list of gradients is {float(norm):g}; expected 0")


@claim(
    "a NaN or infinity in a gradient makes the norm non-finite",
    broken_by="nan_hidden",
    cases=spoiled_cases,
    max_cases=10,
    aliases=("what_is_not_finite_shows",),
)
def nonfinite_values_show_in_the_norm(trial: Trial) -> None:
    """The norm tells whoever logs it, or skips the step. What becomes of the gradients is not promised."""
    answer = trial.attempt()
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} for non-finite gradients")
    offers_the_norm(trial)
    _, norm = returned(trial)
    if math.isfinite(float(norm)):
        raise Violation(f"a gradient is NaN or infinite, but the norm is {float(norm):g}")


CONTRACT = Contract(
    name="clip_grad_norm",
    meaning="Gradient clipping by total norm: gradients above the limit are scaled down to it by one common factor.",
    calls={
        "call": Signature(
            (Argument("grads", "list[float[...] or None]"), Argument("max_norm", "number", role="setting")),
            "(list[float[...] or None], norm float[])",
        )
    },
    reference=clip_grad_norm,
    cases=cases,
    differentiable=False,
    agrees=False,
    dialects=CLIPS,
    variants=(
        Variant(
            "without_epsilon",
            "You divide by the norm alone; torch adds 1e-6 to it. Both are right, and need no declaration.",
            (Edit(clip_grad_norm, "scale = max_norm / (norm + 1e-6)", "scale = max_norm / norm"),),
        ),
        Variant(
            "no_norm",
            "You return no norm, which needs no declaration: the gradients are judged.",
            (
                Edit(
                    clip_grad_norm,
                    "return clipped, norm",
                    "return clipped, torch.sqrt(sum([g.pow(2).sum() for g in grads if g is not None], torch.zeros(())))",
                ),
            ),
        ),
    ),
    order=77,
    case_count=24,
    sources=("Pascanu et al. 2013, section 3.2, algorithm 1", "torch.nn.utils.clip_grad_norm_"),
    claims=(
        returns_every_gradient,
        returns_total_norm_before_clipping,
        direction_preserved,
        norm_equals_max_norm_after_clipping,
        scaled_by_max_norm_over_norm,
        unchanged_below_max_norm,
        independent_of_tensor_splits,
        none_gradients_are_ignored,
        zeros_stay_zero,
        empty_list_has_norm_zero,
        nonfinite_values_show_in_the_norm,
    ),
)
