"""The loss of a language model."""

from __future__ import annotations

import torch

from harness.core.case import Case
from harness.core.claim import About, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.mistake import Edit
from reference_model.lm_loss import lm_loss
from specs.naming.cs336 import CS336_CROSS_ENTROPY
from specs.shared.attention import elsewhere, output, tolerance, unmoved
from specs.shared.lm_loss_cases import USUAL, cases, large_logits, unknown_ids
from specs.shared.lm_loss_options import CLAIMS, OPTIONS, OVER_THE_OTHERS
from specs.shared.loss_of_models import WHOLE


def _counted(case: Case) -> torch.Tensor:
    counted: torch.Tensor = case.arguments["targets"] != case.arguments["ignore_index"]
    return counted


@claim(
    "it is the mean of logsumexp(logits) minus the target's logit",
    broken_by="base_two",
    max_cases=18,
    aliases=("log_sum_exp_less_the_target",),
)
def logsumexp_minus_target_logit(trial: Trial) -> None:
    a, counted = trial.case.arguments, _counted(trial.case)
    logits, targets = a["logits"][counted].double(), a["targets"][counted]
    expected = (torch.logsumexp(logits, -1) - logits[torch.arange(len(targets)), targets]).mean()
    trial.close(output(trial), expected.to(trial.dtype), tolerance(trial, None), "the loss")


@claim(
    "targets are already the next ids: they are not shifted again", broken_by="shifted_twice", aliases=("shifted_once",)
)
def targets_are_not_shifted_again(trial: Trial) -> None:
    """Logits that are sure of every target give 0: the batch was already shifted when it was sampled."""
    a = trial.case.arguments
    targets = a["targets"].masked_fill(~_counted(trial.case), 0)
    sure = torch.zeros_like(a["logits"]).scatter(-1, targets[..., None], 50.0)
    case = trial.case.changed(logits=sure)
    trial.close(
        output(trial, case), trial.expect(case).value, tolerance(trial, case), "the loss of confident, correct logits"
    )
    if bool(output(trial, case) > 1e-3):
        raise Violation("confident, correct logits do not give a loss of 0")


@claim(
    "ignored targets are excluded from the sum and from the mean",
    broken_by="ignored_in_the_count",
    aliases=("ignored_targets_do_not_count",),
)
def ignored_targets_are_excluded(trial: Trial) -> None:
    """Logits at ignored targets do not matter; the loss is that of the other positions alone."""
    a, counted = trial.case.arguments, _counted(trial.case)
    if bool(counted.all()):
        trial.not_applicable()
    logits = torch.where(counted[..., None], a["logits"], elsewhere(trial, a["logits"], 10.0))
    unmoved(trial, trial.case.changed(logits=logits), "with the logits at ignored targets changed, the loss")
    alone = trial.case.changed(logits=a["logits"][counted][None], targets=a["targets"][counted][None])
    bound = tolerance(trial, None, alone)
    trial.close(output(trial, alone), output(trial), bound, "over the remaining positions alone, the loss")


@claim(
    "ignore_index = -100 is honoured",
    broken_by="ignore_index_fixed_at_minus_1",
    max_cases=14,
    aliases=("ignores_minus_100",),
)
def ignore_index_minus_100(trial: Trial) -> None:
    """The number that torch ignores, given as ignore_index, in place of the case's own."""
    a, counted = trial.case.arguments, _counted(trial.case)
    if bool(counted.all()):
        trial.not_applicable()
    whole = output(trial)  # who takes no ignore_index at all does not get further than this
    case = trial.case.changed(targets=a["targets"].masked_fill(~counted, USUAL), ignore_index=USUAL)
    bound = tolerance(trial, None, case)
    trial.close(output(trial, case), whole, bound, "with ignore_index = -100, the loss")


@claim(
    "where every target is ignored, the loss and its gradient are 0",
    broken_by="ignored_count_as_id_0",
    max_cases=14,
    aliases=("nothing_but_ignored_targets",),
)
def all_targets_ignored(trial: Trial) -> None:
    """0, and no gradient. NaN, as in torch.nn.functional.cross_entropy, means that it is not supported."""
    a = trial.case.arguments
    if a["ignore_index"] == USUAL:
        trial.not_applicable()
    empty = trial.case.changed(targets=torch.full_like(a["targets"], a["ignore_index"]))
    answer = trial.attempt(empty, gradients=True)
    if answer.crash is not None:
        raise NotSupported(f"it raises {answer.crash.error} where every target is ignored")
    if torch.is_tensor(answer.value) and bool(answer.value.isnan().all()):
        raise NotSupported("where every target is ignored it gives NaN, as torch.nn.functional.cross_entropy does")
    trial.close(answer.value, trial.expect(empty).value, tolerance(trial, empty), "with every target ignored, the loss")
    gradient = answer.gradients.get("logits")
    if gradient is not None and not bool((gradient == 0).all()):
        raise Violation("with every target ignored, the gradient of the logits is not zero")


@claim(
    "adding a constant to all logits of a position does not change the loss",
    broken_by="maximum_not_subtracted",
    max_cases=18,
    aliases=("unchanged_by_a_shift",),
)
def shift_invariant(trial: Trial) -> None:
    """1000 for all logits, and one constant for each position. The addition itself rounds, by eps of the sum."""
    logits = trial.case.arguments["logits"]
    for shift, which in (
        (elsewhere(trial, logits[..., :1], 5.0), "a constant added to each position's"),
        (1000.0, "1000 added to all"),
    ):
        shifted = trial.case.changed(logits=logits + shift)
        slack = 4 * torch.finfo(trial.dtype).eps * float((logits + shift).abs().max())
        bound = tolerance(trial, None, shifted) + slack
        trial.close(output(trial, shifted), output(trial), bound, f"with {which} logits, the loss")


@claim(
    "every target that is not ignored has equal weight, in any row",
    broken_by="mean_of_row_means",
    max_cases=18,
    aliases=("every_position_weighs_the_same",),
)
def every_position_has_equal_weight(trial: Trial) -> None:
    """Positions are permuted across rows: a mean of row means would change, because rows count different numbers."""
    a = trial.case.arguments
    shape = a["targets"].shape
    if shape.numel() < 2:
        trial.not_applicable()
    order = torch.randperm(shape.numel(), generator=trial.random())
    logits, targets = a["logits"].flatten(0, 1)[order], a["targets"].flatten()[order]
    moved = trial.case.changed(logits=logits.reshape(a["logits"].shape), targets=targets.reshape(shape))
    unmoved(trial, moved, "with the positions permuted, the loss")


@claim(
    "the gradient is softmax minus one-hot, divided by the number of targets that are not ignored",
    broken_by="gradient_over_all_positions",
    max_cases=18,
    aliases=("gradient_is_softmax_less_one_hot",),
    about=frozenset({About.GRADIENT}),
)
def gradient_is_softmax_minus_one_hot(trial: Trial) -> None:
    a, counted = trial.case.arguments, _counted(trial.case)
    _, bound = trial.agreement(gradients=True)
    answer = trial.run(gradients=True)
    actual = answer.gradients.get("logits")
    if actual is None or not torch.is_tensor(answer.value) or answer.value.dim():
        trial.not_applicable()  # a missing gradient is another claim's business, and so is what is no single number
    targets = a["targets"].masked_fill(~counted, 0)
    slope = torch.softmax(a["logits"].double(), -1).scatter_add(
        -1, targets[..., None], torch.full_like(targets[..., None], -1.0, dtype=torch.float64)
    )
    expected = slope * counted[..., None] / counted.sum() * trial.cotangent(answer.value)
    trial.close(actual, expected.to(trial.dtype), 2 * bound.gradients["logits"], "the gradient of the logits")


@claim(
    "logits of up to 1e4 neither overflow nor cost accuracy",
    broken_by="log_of_softmax",
    cases=large_logits,
    max_cases=14,
    aliases=("holds_at_large_logits",),
)
def stable_at_large_logits(trial: Trial) -> None:
    for dtype in dict.fromkeys((trial.dtype, torch.float32)):
        exact, bound = trial.agreement(dtype=dtype, gradients=True)
        answer = trial.run(dtype=dtype, gradients=True)
        if not bool(torch.isfinite(answer.value).all()):
            raise Violation(
                f"in {dtype} the loss of logits of 1e4 is not finite: exponentials overflow, or it takes the log of 0"
            )
        slack = 8 * torch.finfo(dtype).eps * float(trial.case.arguments["logits"].abs().max())
        trial.close(answer.value, exact.value, bound.value + slack, f"in {dtype}, the loss")
        gradient = answer.gradients.get("logits")
        if gradient is not None:
            most = bound.gradients["logits"] + 4 * slack
            trial.close(gradient, exact.gradients["logits"], most, f"in {dtype}, the gradient of the logits")


@claim(
    "an earlier call with other ignored targets does not change the loss",
    broken_by="count_cached_across_calls",
    max_cases=12,
    aliases=("counts_are_not_remembered",),
)
def counts_are_not_cached(trial: Trial) -> None:
    """A second call, with one more target ignored, is not affected by the first."""
    a, counted = trial.case.arguments, _counted(trial.case)
    if a["ignore_index"] == USUAL or int(counted.sum()) < 2:
        trial.not_applicable()
    targets = a["targets"].clone()
    targets[tuple(counted.nonzero()[0].tolist())] = a["ignore_index"]
    other = trial.case.changed(targets=targets)
    second = trial.run(trial.case.followed_by(*other.calls), fresh=True).outputs[1]
    alone = trial.run(other, fresh=True).value
    trial.close(second, alone, trial.spread_of_value(other), "after a call with fewer ignored targets, the loss")


CONTRACT = Contract(
    name="lm_loss",
    meaning="Cross-entropy loss of the next token: the mean over the targets that are not ignored.",
    calls={
        "call": Signature(
            (
                Argument("logits", "float[batch, time, vocab_size]"),
                Argument("targets", "int[batch, time]"),
                Argument("ignore_index", "int", role="setting", optional=True, default=USUAL),
                *OPTIONS,
            ),
            "float[]",
        )
    },
    reference=lm_loss,
    cases=cases,
    invalid=unknown_ids,
    roundings=(
        Edit(
            lm_loss,
            "return kept.sum() / count.clamp(min=1)",
            "return (1.0 + 2.0**-24) * kept.sum() / count.clamp(min=1)",
        ),
    ),
    whole=WHOLE,
    dialects=(CS336_CROSS_ENTROPY,),
    order=75,
    case_count=26,
    variants=(OVER_THE_OTHERS,),
    sources=(
        "Radford et al. 2018, section 3.1, equation 1",
        "torch.nn.functional.cross_entropy",
        "Szegedy et al. 2016, section 7 (label smoothing)",
        "Chowdhery et al. 2022, section 5 (z-loss)",
    ),
    claims=(
        logsumexp_minus_target_logit,
        targets_are_not_shifted_again,
        ignored_targets_are_excluded,
        ignore_index_minus_100,
        all_targets_ignored,
        shift_invariant,
        every_position_has_equal_weight,
        counts_are_not_cached,
        gradient_is_softmax_minus_one_hot,
        stable_at_large_logits,
        *CLAIMS,
    ),
)
