"""Clipping by the norm of all gradients together.

Implementations may add 1e-6 to the norm before they divide by it (torch, CS336) or nothing (Pascanu et al.): both pass.
Code that clips in place is judged by what it leaves in ``.grad`` (specs/naming/dialects.py).
"""

from __future__ import annotations

import math
from contextlib import suppress

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.mistake import Edit
from reference_model.clip_grad_norm import clip_grad_norm
from specs.shared.clipping_functions import CLIPS
from specs.shared.gradient_clipping import (
    Gradients,
    cases,
    empty_cases,
    given,
    largest,
    missing_cases,
    nonfinite_cases,
    norm_of,
    returned,
    zero_cases,
)

EPSILON = 2e-6
"""What may be added to the norm before dividing by it: torch adds 1e-6, Pascanu et al. nothing; doubled for float32."""
ROUNDING = 32.0
"""Machine epsilons between two ways to compute the same number: a square, a sum of 60, a root, a quotient and a product
lose at most 8 in any order; times four."""


def needs_the_norm(trial: Trial) -> None:
    """For claims about the norm: NotSupported where the implementation returns none."""
    if "norm" in trial.offer.absent:
        raise NotSupported("it returns no norm")


def expected(trial: Trial, case: Case | None = None) -> tuple[Gradients, float, float]:
    """The clipped gradients, the norm before clipping, and the relative error allowed."""
    grads, limit = given(trial, case), (case or trial.case).arguments["max_norm"]
    norm = norm_of(grads)
    scale = min(1.0, limit / norm) if norm else 1.0
    relative = ROUNDING * torch.finfo(trial.dtype).eps + (EPSILON / norm if norm and limit < norm + EPSILON else 0.0)
    return [None if grad is None else grad.double() * scale for grad in grads], norm, relative


def clipped_as_expected(trial: Trial, what: str, case: Case | None = None) -> None:
    """Compare every returned tensor with the clipped gradient."""
    clipped, _ = returned(trial, case)
    wanted, _, relative = expected(trial, case)
    for i, (after, right) in enumerate(zip(clipped, wanted, strict=True)):
        if right is not None:
            trial.close(after, right, relative * largest(wanted), f"{what}, grads[{i}]")


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
    """Above the limit, the norm after clipping would be the limit."""
    needs_the_norm(trial)
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
    """Each tensor is the same multiple of its gradient."""
    clipped, _ = returned(trial)
    grads, after, before = given(trial), norm_of(clipped), norm_of(given(trial))
    if not after:
        raise Violation("all returned gradients are zero")
    bound = ROUNDING * torch.finfo(trial.dtype).eps * largest(grads) / before
    for i, (found, grad) in enumerate(zip(clipped, grads, strict=True)):
        if found is not None and grad is not None:
            trial.close(found.double() / after, grad.double() / before, bound, f"the direction of grads[{i}]")


@claim(
    "above max_norm, the total norm after clipping is max_norm",
    broken_by="never_clipped",
    aliases=("as_long_as_the_limit",),
)
def norm_equals_max_norm_after_clipping(trial: Trial) -> None:
    limit, norm = trial.case.arguments["max_norm"], norm_of(given(trial))
    if norm <= limit:
        trial.not_applicable()
    trial.run(trial.case.changed(max_norm=2 * norm))  # another claim judges it: its answer distinguishes two mistakes
    clipped_norm = torch.tensor(norm_of(returned(trial)[0]), dtype=torch.float64)
    bound = expected(trial)[2] * limit
    trial.close(clipped_norm, torch.full_like(clipped_norm, limit), bound, "the norm of the returned gradients")


@claim("each gradient is multiplied by min(1, max_norm / norm)", broken_by="sign_lost", aliases=("each_is_scaled",))
def scaled_by_max_norm_over_norm(trial: Trial) -> None:
    limit, norm = trial.case.arguments["max_norm"], norm_of(given(trial))
    if norm > limit:
        trial.run(trial.case.changed(max_norm=2 * norm))  # as in norm_equals_max_norm_after_clipping
    clipped_as_expected(trial, "above the limit" if norm > limit else "below the limit")


@claim("below max_norm the gradients are unchanged", broken_by="always_scaled", aliases=("unchanged_below_the_limit",))
def unchanged_below_max_norm(trial: Trial) -> None:
    """With max_norm twice the norm, and with an infinite one, which only measures."""
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
    """With all numbers in one tensor, the norm and the clipped numbers are the same."""
    grads, limit = trial.case.arguments["grads"], trial.case.arguments["max_norm"]
    together = torch.cat([grad.reshape(-1) for grad in grads])
    case = Case.of({"grads": [together], "max_norm": limit}, family=trial.case.family)
    (whole,), norm = returned(trial, case)
    clipped, norm_of_pieces = returned(trial)
    assert whole is not None
    bound = 2 * ROUNDING * torch.finfo(trial.dtype).eps
    clipped_numbers = torch.cat([grad.reshape(-1) for grad in clipped if grad is not None])
    trial.close(norm_of_pieces, norm, bound * float(norm), "the norm, compared with that of all numbers in one tensor,")
    trial.close(clipped_numbers, whole, bound * largest([whole]), "out, compared with all numbers in one tensor,")


@claim(
    "gradients that are stored transposed or expanded are clipped alike",
    broken_by="squared_in_memory_order",
    max_cases=12,
)
def stored_otherwise_is_clipped_alike(trial: Trial) -> None:
    """The gradient of a transposed weight is a transposed view, that of a sum is one number expanded (never in .grad).

    Code that refuses both with an error gives nobody a wrong number.
    """
    grads = trial.case.arguments["grads"]
    transposed = [g.transpose(0, 1).contiguous().transpose(0, 1) if g.dim() > 1 else g for g in grads]
    expanded = [g.reshape(-1)[:1].expand(g.numel()).view(g.shape) if g.dim() == 1 else g for g in grads]
    refused, judged = "", 0
    for how, stored in (("transposed", transposed), ("expanded", expanded)):
        if all(grad.is_contiguous() for grad in stored):
            continue
        case = trial.case.strided(grads=stored, max_norm=0.5 * norm_of(stored) or 1.0)
        with suppress(NotSupported):
            crash = trial.attempt(case).crash
            if crash is not None:
                refused = f"it raises {crash.error} for gradients stored {how}"
                continue
            judged += 1
            clipped_as_expected(trial, f"with gradients stored {how}", case)
    if refused and not judged:
        raise NotSupported(refused)
    if not judged:
        trial.not_applicable()


@claim(
    "a gradient of None is ignored",
    broken_by="missing_gradient_raises",
    cases=missing_cases,
    max_cases=12,
    aliases=("missing_gradients_count_for_nothing",),
)
def none_gradients_are_ignored(trial: Trial) -> None:
    _, norm = returned(trial)
    _, wanted, relative = expected(trial)
    trial.close(norm, torch.tensor(wanted, dtype=norm.dtype), relative * wanted, "with a gradient of None, the norm")
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
    cases=nonfinite_cases,
    max_cases=10,
    aliases=("what_is_not_finite_shows",),
)
def nonfinite_values_show_in_the_norm(trial: Trial) -> None:
    """Training code that logs the norm, or skips such a step, relies on it. Nothing is promised about the gradients."""
    answer = trial.attempt()
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} for non-finite gradients")
    needs_the_norm(trial)
    _, norm = returned(trial)
    if math.isfinite(float(norm)):
        raise Violation(f"a gradient is NaN or infinite, but the norm is {float(norm):g}")


TOTAL_NORM = "torch.sqrt(sum([g.pow(2).sum() for g in grads if g is not None], torch.zeros(())))"

CONTRACT = Contract(
    name="clip_grad_norm",
    meaning="Gradient clipping by total norm: gradients above the limit are scaled down to it by one common factor.",
    calls={
        "call": Signature(
            (Argument("grads", "list[float[...] or None]"), Argument("max_norm", "float", role="setting")),
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
            (Edit(clip_grad_norm, "return clipped, norm", f"return clipped, {TOTAL_NORM}"),),
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
        stored_otherwise_is_clipped_alike,
        none_gradients_are_ignored,
        zeros_stay_zero,
        empty_list_has_norm_zero,
        nonfinite_values_show_in_the_norm,
    ),
)
