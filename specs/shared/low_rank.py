"""The claims that both low-rank adapters share. They differ in one line, the scale."""

from __future__ import annotations

import torch

from harness.core.claim import About, Claim, NotSupported, Trial, Violation, claim
from harness.core.implementation import EffectKind
from harness.numerics.tolerance import EPSILON, difference, magnitude, perturbed
from specs.shared.low_rank_cases import ordinary_cases
from specs.shared.low_rank_dropout import dropout_on_the_adapter_input, no_dropout_in_evaluation, no_dropout_on_the_base
from specs.shared.low_rank_script import MERGE, PARAMETERS, UNMERGE, changed, other_values, same_out, with_calls
from specs.shared.scaling_law import Scale, scale_cases, scale_is_recovered, variance_cases, variance_follows_the_rank

# claims --------------------------------------------------------------------------------------------------------------


@claim("before training its output is the base layer's", broken_by="b_starts_random", max_cases=12)
def starts_as_the_base_layer(trial: Trial) -> None:
    """B is zero at first (or A is), so nothing is added before anything is trained or loaded."""
    build, _, forward = trial.case.calls
    at_first = with_calls(trial.case, build, forward)
    exact, tolerance = trial.agreement(at_first)
    trial.close(trial.run(at_first).value, exact.value, tolerance.value, "before training, out")


@claim("the base weight and bias receive no gradient", broken_by="weight_not_frozen", about=frozenset({About.GRADIENT}))
def base_is_frozen(trial: Trial) -> None:
    gradients = trial.run(gradients=True).gradients
    trained = [n for n, g in gradients.items() if n not in ("a", "b", "x") and g is not None and bool((g != 0).any())]
    if trained:
        raise Violation(f"{', '.join(trained)} of the base layer receives a gradient; only a and b must be trained")


@claim(
    "b receives a gradient from the first step on, a from the second",
    broken_by="a_starts_at_zero",
    cases=ordinary_cases,
    max_cases=12,
    about=frozenset({About.GRADIENT}),
)
def both_matrices_train(trial: Trial) -> None:
    """At the start one of the two gets a gradient (else both stay where they are for ever); with B loaded, both do.

    With b = 0 the gradient of a is 0 and that of b is not: the first step moves b, the second moves a.
    """
    build, load, forward = trial.case.calls
    at_first = trial.run(with_calls(trial.case, build, forward), gradients=True).gradients
    if not any(_is_moved(at_first.get(name)) for name in ("a", "b")):
        raise Violation("at the start neither a nor b receives a gradient: the adapter can never be trained")
    no_b = changed(trial.case, "load", b=torch.zeros_like(load.arguments["b"]))
    while_zero, loaded = trial.run(no_b, gradients=True).gradients, trial.run(gradients=True).gradients
    if _is_moved(while_zero.get("a")):
        raise Violation("a receives a gradient while b is zero: something other than B A x is added")
    for name, gradients in (("b", while_zero), ("b", loaded), ("a", loaded)):
        if not _is_moved(gradients.get(name)):
            raise Violation(f"no gradient reaches {name}: it is never trained")


def _is_moved(gradient: torch.Tensor | None) -> bool:
    return gradient is not None and bool((gradient != 0).any())


@claim("merging does not change the output", broken_by="merged_without_scale", max_cases=20)
def merged_equals_unmerged(trial: Trial) -> None:
    """Merged after a forward pass, so that what that pass may have kept shows, and without one."""
    build, load, forward = trial.case.calls
    same_out(trial, with_calls(trial.case, build, load, MERGE, forward), trial.case, "merged, out")
    between = with_calls(trial.case, build, load, forward, MERGE, forward)
    same_out(trial, between, trial.case, "merged after a forward pass, out")


@claim("unmerging restores the layer, up to rounding", broken_by="unmerged_with_the_wrong_sign", max_cases=15)
def unmerge_restores(trial: Trial) -> None:
    """Within the rounding of adding and subtracting once; and what is loaded afterwards counts."""
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    back = with_calls(trial.case, build, load, MERGE, forward, UNMERGE, forward)
    reloaded = with_calls(trial.case, build, load, MERGE, UNMERGE, again, forward)
    only = with_calls(trial.case, build, again, forward)
    same_out(trial, back, trial.case, "merged and unmerged, out")
    same_out(trial, reloaded, only, "unmerged and loaded again, out")


@claim(
    "merging or unmerging a second time does not change the output, or is refused",
    broken_by="merged_twice_counts_twice",
    max_cases=12,
    aliases=("merging_twice_is_merging_once",),
)
def merge_and_unmerge_are_idempotent(trial: Trial) -> None:
    """A second merge (or unmerge) does nothing, or it is refused with an error."""
    *setting_up, forward = trial.case.calls
    for twice, once in (
        ((MERGE, MERGE), (MERGE,)),
        ((MERGE, MERGE, UNMERGE), (MERGE, UNMERGE)),
        ((MERGE, UNMERGE, UNMERGE), (MERGE, UNMERGE)),
        ((UNMERGE,), ()),
    ):
        repeated = with_calls(trial.case, *setting_up, *twice, forward)
        crash = trial.attempt(repeated).crash
        if crash is not None and crash.call < len(repeated.calls) - 1:
            continue
        plain = with_calls(trial.case, *setting_up, *once, forward)
        same_out(trial, repeated, plain, f"after {', '.join(c.method for c in twice)}, out")


@claim(
    "merging again uses the matrices loaded last",
    broken_by="first_update_kept",
    max_cases=12,
    aliases=("merging_follows_the_last_load",),
)
def merge_uses_the_latest_matrices(trial: Trial) -> None:
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    second = with_calls(trial.case, build, load, MERGE, UNMERGE, again, MERGE, forward)
    only = with_calls(trial.case, build, again, MERGE, forward)
    same_out(trial, second, only, "merged a second time with other matrices, out")


@claim(
    "merging does not write to the weight passed to build()",
    broken_by="merged_in_place",
    max_cases=12,
    aliases=("merging_leaves_the_given_weight_alone",),
)
def merge_leaves_the_given_weight_unchanged(trial: Trial) -> None:
    """The weight that the layer was built from may be in use elsewhere (a tied head); merging changes its own."""
    *setting_up, forward = trial.case.calls
    effects = trial.run(with_calls(trial.case, *setting_up, MERGE, forward)).effects
    written = [e for e in effects if e.kind is EffectKind.EARLIER_ARGUMENT and e.method == "build"]
    if written:
        raise Violation.of_effects(written)


@claim(
    "forward uses the matrices loaded last",
    broken_by="first_a_kept",
    max_cases=12,
    aliases=("forward_follows_the_last_load",),
)
def forward_uses_the_latest_matrices(trial: Trial) -> None:
    build, load, forward = trial.case.calls
    again = other_values(trial.case)
    changing = with_calls(trial.case, build, load, forward, again, forward)
    only = with_calls(trial.case, build, again, forward)
    same_out(trial, changing, only, "after loading other matrices, out")


@claim(
    "parameters() returns a and b as loaded, and nothing else",
    broken_by="a_and_b_exchanged",
    max_cases=12,
    aliases=("parameters_are_what_was_loaded",),
)
def parameters_are_a_and_b(trial: Trial) -> None:
    build, load, _ = trial.case.calls
    changing = with_calls(trial.case, build, load, PARAMETERS)
    exact, tolerance = trial.agreement(changing)
    trial.close(trial.run(changing).value, exact.value, tolerance.value, "parameters()")


def accurate_in_half_precision(trial: Trial) -> None:
    """At most four times what the reference loses there, or what a rounding of the arguments alone costs.

    A layer that keeps W + scale B A instead of both rounds that sum, so the reference's own loss is no bound for it.
    """
    refused = []
    for dtype in (torch.bfloat16, torch.float16):
        try:
            answer = trial.attempt(dtype=dtype)
        except NotSupported as error:  # one of the two at least: numpy has no bfloat16
            refused.append(f"{str(dtype).removeprefix('torch.')} ({error})")
            continue
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        exact, tolerance = trial.agreement(dtype=dtype)
        given = trial.case.cast(dtype).cast(torch.float64)
        others = [trial.expect(perturbed(given, EPSILON[dtype], seed), dtype=torch.float64) for seed in (1, 2, 3)]
        moved = max(difference(other.value, exact.value) for other in others)
        bound = max(tolerance.value, 4 * (moved + EPSILON[dtype] * magnitude(exact.value)))
        trial.close(answer.value, exact.value, bound, f"out in {dtype}")
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))


# all of them ---------------------------------------------------------------------------------------------------------


COMMON = (
    starts_as_the_base_layer,
    base_is_frozen,
    both_matrices_train,
    merged_equals_unmerged,
    unmerge_restores,
    merge_and_unmerge_are_idempotent,
    merge_uses_the_latest_matrices,
    merge_leaves_the_given_weight_unchanged,
    forward_uses_the_latest_matrices,
    parameters_are_a_and_b,
    no_dropout_in_evaluation,
    no_dropout_on_the_base,
    dropout_on_the_adapter_input,
)


def claims(scale: Scale, law: str, *, broken_by: str) -> tuple[Claim, ...]:
    """The claims of an adapter with this scale; ``broken_by``: a known mistake in the scale."""
    law_holds = Claim(
        "scale_matches_the_scaling_law",
        f"the scale is {law} at every rank",
        scale_is_recovered(scale, law),
        aliases=("scale_is_recovered",),
        broken_by=broken_by,
        cases=scale_cases,
        max_cases=8,
    )
    variance = Claim(
        "variance_scales_with_rank",
        f"over ranks 4 to 512 the variance of the update scales as {law} predicts",
        variance_follows_the_rank(scale, law),
        aliases=("variance_follows_the_rank",),
        broken_by=broken_by,
        cases=variance_cases,
        max_cases=2,
        false_alarm=1e-9,
        power=0.999,
    )
    half_precision = Claim(
        "accurate_in_half_precision",
        "in bfloat16 and float16 its error stays near the rounding error of its arguments",
        accurate_in_half_precision,
        broken_by=broken_by,
        max_cases=15,
        aliases=("holds_up_in_half_precision",),
    )
    return (law_holds, variance, *COMMON, half_precision)
