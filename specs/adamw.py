"""Adam with decoupled weight decay: a script of steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from harness.core.case import Call, Case
from harness.core.claim import Trial, claim
from harness.core.contract import Contract, Variant
from harness.core.measurement import Measure
from harness.core.mistake import Edit
from reference_model.adamw import adamw
from specs.shared.adam import (
    ended,
    groups_keep_their_own_settings,
    parameter_without_gradient_is_unchanged,
    resuming_changes_nothing,
    rounding,
    same,
    state_bytes,
    step_without_gradient_keeps_state,
    stored_transposed_moves_the_same,
)
from specs.shared.adam_in_bfloat16 import long_steps_arrive_in_bfloat16, short_decays_arrive_in_bfloat16
from specs.shared.adamw_cases import (
    cases,
    cases_with_gaps,
    first_steps,
    grouped_cases,
    large_cases,
    longer_cases,
    tiny_gradients,
    zero_gradients,
)
from specs.shared.optimizers import CALLS, OPTIONAL_METHODS, building, dialects, gradients_of, stepping, with_calls
from specs.workloads import optimizers as workloads

CLASSES = ("AdamW", "adamw", "Adamw", "ADAMW", "MyAdamW", "CustomAdamW", "AdamWOptimizer", "AdamWScratch")
CS336_FORMS = ("cs336", "", "epsilon_hat")
"""CS336 says the first; its tests accept what torch's own class gives too."""
FIRST_STEP_TOLERANCE = 1e-3
"""In units of lr. 1 - beta**t is a difference of numbers near 1: in float32 it has four digits at t = 1. Eps before or
after the correction changes a step by less; a missing correction changes it by a factor of three."""


# claims --------------------------------------------------------------------------------------------------------------


def agrees_on(trial: Trial, case: Case, what: str) -> None:
    """Compare the final parameters of this script with the reference's."""
    exact, tolerance = trial.agreement(case)
    trial.close(trial.run(case).value, exact.value, tolerance.value, what)


@claim(
    "in float32 it is as accurate as the reference",
    broken_by="second_moment_in_bfloat16",
    max_cases=8,
    aliases=("rounds_like_the_reference_in_float32",),
)
def accurate_in_float32(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    trial.close(trial.run(dtype=torch.float32).outputs, exact.outputs, tolerance.outputs, "out")


@claim(
    "moments are bias-corrected from step 1: the first step moves every number by lr",
    broken_by="no_bias_correction",
    cases=first_steps,
    max_cases=8,
    aliases=("first_step_is_the_rate",),
)
def first_step_moves_by_lr(trial: Trial) -> None:
    """For any betas the corrected moments of one gradient are g and g**2, so each number moves by lr, against g."""
    build = trial.case.calls[0].arguments
    after = ended(trial)
    for place, (before, moved, grad) in enumerate(
        zip(build["params"], after, gradients_of(trial.case)[0], strict=True)
    ):
        went = (moved.double() - before) / build["lr"]
        bound = FIRST_STEP_TOLERANCE + 8 * torch.finfo(trial.dtype).eps * float(before.abs().max()) / build["lr"]
        what = f"the first step of parameter {place}, in units of lr,"
        trial.close(went, -grad.sign(), bound, what)


@claim("weight decay does not enter the moments", broken_by="coupled_decay", max_cases=10)
def decay_is_decoupled(trial: Trial) -> None:
    """Moments depend on gradients alone: two runs that start 2 apart move alike, and only their distance decays."""
    build = trial.case.calls[0]
    moved = with_calls(
        trial.case, building(trial.case, params=[p + 2.0 for p in build.arguments["params"]]), *trial.case.calls[1:]
    )
    here, there = ended(trial), ended(trial, moved)
    expected, expected_moved = (trial.expect(case, dtype=torch.float64).value for case in (trial.case, moved))
    bound = rounding(trial, trial.case) + rounding(trial, moved)
    for place, (a, b) in enumerate(zip(here, there, strict=True)):
        what = f"the distance between two runs that start 2 apart, parameter {place},"
        trial.close(b.double() - a.double(), expected_moved[place] - expected[place], bound, what)


@claim(
    "weight decay acts on parameters with zero gradients",
    broken_by="no_decay_where_gradient_is_zero",
    cases=zero_gradients,
    max_cases=5,
)
def zero_gradients_still_decay(trial: Trial) -> None:
    agrees_on(trial, trial.case, "with all gradients zero, out")


@claim("eps is added to the root, not under it", broken_by="eps_inside_the_root", cases=tiny_gradients, max_cases=8)
def eps_stands_outside_the_root(trial: Trial) -> None:
    agrees_on(trial, trial.case, "with gradients as small as eps, out")


@claim(
    "a parameter moves the same alone as among others",
    broken_by="counter_incremented_per_parameter",
    max_cases=12,
    aliases=("parameters_do_not_mix",),
)
def parameters_are_independent(trial: Trial) -> None:
    """The parameters in reverse order, and each one alone, move as they do together. Without groups."""
    build = trial.case.calls[0].arguments
    plain = with_calls(trial.case, building(trial.case, groups=None), *trial.case.calls[1:])
    many = len(build["params"])
    if many < 2:
        trial.not_applicable()
    reverse = [stepping(grads[::-1]) for grads in gradients_of(trial.case)]
    reordered = with_calls(trial.case, building(trial.case, params=build["params"][::-1], groups=None), *reverse)
    same(trial, plain, reordered, "with the parameters in reverse order", (list(range(many)), list(range(many))[::-1]))
    for place in range(many):
        steps = [stepping([grads[place]]) for grads in gradients_of(trial.case)]
        alone = with_calls(trial.case, building(trial.case, params=[build["params"][place]], groups=None), *steps)
        same(trial, plain, alone, "compared with the parameter alone", ([place], [0]))


@claim(
    "each parameter has its own step count",
    broken_by="one_counter_for_all_parameters",
    max_cases=8,
    aliases=("counters_are_per_parameter",),
)
def step_counts_are_per_parameter(trial: Trial) -> None:
    """Two parameters with equal gradients move alike. A third has its first gradient in the last step: a first step."""
    build = trial.case.calls[0].arguments
    (param, grad), late = (build["params"][0], gradients_of(trial.case)[0][0]), len(gradients_of(trial.case)) + 1
    if grad is None:
        trial.not_applicable()
    steps = [stepping([grad, grad, None])] * late + [stepping([grad, grad, grad])]
    together = with_calls(trial.case, building(trial.case, params=[param, param, param], groups=None), *steps)
    newcomer = with_calls(trial.case, building(trial.case, params=[param], groups=None), stepping([grad]))
    one, other, _ = ended(trial, together)
    trial.close(
        other, one, rounding(trial, together), "the second of two identical parameters with identical gradients"
    )
    same(trial, together, newcomer, "a parameter whose first gradient comes in a later step", ([2], [0]))


@claim(
    "lr, both betas, eps and weight_decay all take effect",
    broken_by="betas_fixed",
    max_cases=3,
    aliases=("every_setting_counts",),
)
def every_setting_is_used(trial: Trial) -> None:
    """With another lr, beta, eps or weight_decay it ends where the reference ends."""
    build = trial.case.calls[0].arguments
    beta_1, beta_2 = build["betas"]
    changes: dict[str, Any] = {
        "lr": {"lr": 0.7 * build["lr"]},
        "beta_1": {"betas": (0.6 * beta_1, beta_2)},
        "beta_2": {"betas": (beta_1, 0.9 * beta_2)},
        "eps": {"eps": 30 * build["eps"] + 1e-3},
        "weight_decay": {"weight_decay": 0.3 + build["weight_decay"]},
    }
    for name, change in changes.items():
        case = with_calls(trial.case, building(trial.case, **change), *trial.case.calls[1:])
        agrees_on(trial, case, f"with another {name}, out")


@claim(
    "scaling gradients and eps together does not change the steps",
    broken_by="root_forgotten",
    max_cases=8,
    aliases=("size_of_gradients_does_not_matter",),
)
def scale_invariant_in_gradients(trial: Trial) -> None:
    """With gradients and eps times 64, m / sqrt(v) is the same. 64 is a power of two: rounding does not change."""
    larger = [stepping([None if g is None else 64.0 * g for g in grads]) for grads in gradients_of(trial.case)]
    eps = trial.case.calls[0].arguments["eps"]
    scaled = with_calls(trial.case, building(trial.case, eps=64.0 * eps), *larger)
    same(trial, scaled, trial.case, "with gradients and eps 64 times as large")


@claim(
    "a new learning rate takes effect at the next step",
    broken_by="set_lr_changes_first_group_only",
    cases=grouped_cases,
    max_cases=5,
    aliases=("new_rate_counts_at_once",),
)
def new_learning_rate_takes_effect(trial: Trial) -> None:
    """For the step and for the decay, in every group."""
    *before, last = trial.case.calls
    changed = with_calls(trial.case, *before, Call("set_lr", {"lr": 0.017}), last)
    agrees_on(trial, changed, "with another learning rate before the last step, out")


EPS_HAT = Edit(
    adamw.update, "direction = mean / (root + eps)", "direction = mean / (root + eps / torch.sqrt(correction_2))"
)
CONTRACT = Contract(
    name="adamw",
    meaning="AdamW: Adam with bias-corrected moments and decoupled weight decay.",
    calls=CALLS,
    reference=adamw,
    cases=cases,
    differentiable=False,
    half_precision=False,
    tables_in_float32=True,  # 1 - beta**t of a float32 step counter, as torch's capturable form has it
    order=79,
    case_count=18,
    optional_methods=OPTIONAL_METHODS,
    dialects=dialects(*CLASSES, getters=("get_adamw_cls", "run_get_adamw_cls"), accepts=CS336_FORMS),
    measures=(Measure("state_bytes", "bytes of optimizer state per parameter", state_bytes, large_cases),),
    variants=(
        Variant(
            "epsilon_hat",
            "You add eps to the root before the bias of it is corrected (Kingma & Ba, end of section 2; TensorFlow).",
            (EPS_HAT,),
        ),
        Variant(
            "cs336",
            "You add eps before the correction and decay the parameter after its move, as CS336's algorithm does.",
            (
                EPS_HAT,
                Edit(
                    adamw.update,
                    "moved = decayed - lr * direction",
                    "moved = (param - lr * direction) * (1 - lr * weight_decay)",
                ),
            ),
        ),
        Variant(
            "decay_without_rate",
            "The decay is not multiplied by lr, as in Loshchilov & Hutter's own algorithm; in torch.optim.AdamW it is.",
            (
                Edit(
                    adamw.update,
                    "decayed = param - lr * weight_decay * param",
                    "decayed = param - weight_decay * param",
                ),
            ),
        ),
    ),
    sources=("Loshchilov & Hutter 2019, algorithm 2", "Kingma & Ba 2015, algorithm 1", "torch.optim.AdamW"),
    workloads=workloads.ADAMW,
    claims=(
        accurate_in_float32,
        first_step_moves_by_lr,
        decay_is_decoupled,
        zero_gradients_still_decay,
        eps_stands_outside_the_root,
        replace(groups_keep_their_own_settings, broken_by="lr_of_the_first_group", cases=grouped_cases, max_cases=10),
        parameters_are_independent,
        replace(stored_transposed_moves_the_same, broken_by="gradient_read_in_memory_order", max_cases=6),
        replace(
            parameter_without_gradient_is_unchanged,
            broken_by="missing_gradient_decays",
            cases=cases_with_gaps,
            max_cases=12,
        ),
        replace(
            step_without_gradient_keeps_state,
            broken_by="step_without_gradient_counted",
            cases=cases_with_gaps,
            max_cases=12,
        ),
        step_counts_are_per_parameter,
        replace(resuming_changes_nothing, broken_by="counter_not_saved", cases=longer_cases, max_cases=6),
        every_setting_is_used,
        scale_invariant_in_gradients,
        new_learning_rate_takes_effect,
        long_steps_arrive_in_bfloat16,
        short_decays_arrive_in_bfloat16,
    ),
)
