"""LLM.int8(): a linear layer in int8 whose outlier columns stay in high precision.

The cases are such that every right layer has the same codes (specs/shared/int8_layers.py).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import Call
from harness.core.claim import About, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.measurement import Measure
from harness.core.mistake import Edit
from reference_model.int8_linear import int8_linear
from specs.shared.int8_layers import (
    INFINITY,
    allowed_error,
    arguments_of,
    cases,
    coded,
    exact_cases,
    expected_parts,
    invalid_cases,
    memory,
    out_of,
    outlier_cases,
    pure_cases,
    wide_cases,
    with_threshold,
)


@claim(
    "it is the exact integer product of the codes, times the row scales of x and of the weight",
    broken_by="x_not_quantized",
    aliases=("is_the_product_of_integers",),
)
def equals_the_integer_product(trial: Trial) -> None:
    """Plus the contribution of the outlier columns, plus the bias."""
    case = trial.case.cast(trial.dtype)
    _, _, bias, _ = arguments_of(case)
    small, large = expected_parts(case)
    expected = small + large + (0.0 if bias is None else bias.double())
    trial.close(out_of(trial).double(), expected, allowed_error(trial), "the product of integers times the scales")


@claim(
    "sums of hundreds of products 127 * 127 do not overflow", broken_by="sums_in_int16", cases=wide_cases, max_cases=2
)
def large_sums_do_not_overflow(trial: Trial) -> None:
    equals_the_integer_product(trial)


@claim(
    "outlier columns are not quantized", broken_by="outliers_quantized_separately", cases=outlier_cases, max_cases=10
)
def outliers_keep_their_precision(trial: Trial) -> None:
    """When an outlier column of x grows by a thousandth, its contribution to the output grows by a thousandth."""
    x, weight, *_ = arguments_of(trial.case)
    column = int(x.abs().amax(0).argmax())
    moved = x.clone()
    more = 1e-3 * x[:, column].abs().clamp(min=1.0) * x[:, column].sign()
    moved[:, column] += more
    changed = trial.case.changed(x=moved)
    expected = more[:, None] * weight[:, column]
    tolerance = allowed_error(trial) + allowed_error(trial, changed)
    found = out_of(trial, changed).double() - out_of(trial).double()
    trial.close(found, expected, tolerance, "the change in out when an outlier column grows by 0.1 %")


@claim(
    "an outlier does not affect the accuracy of other columns",
    broken_by="outliers_in_the_scale",
    cases=outlier_cases,
    max_cases=10,
    aliases=("outliers_spare_the_others",),
)
def outliers_do_not_affect_other_columns(trial: Trial) -> None:
    """The output is that without the outlier columns, plus their contribution."""
    x, _, _, threshold = arguments_of(trial.case)
    outlier = x.abs().amax(0) >= threshold
    without = trial.case.changed(x=x.masked_fill(outlier, 0.0))
    _, large = expected_parts(trial.case.cast(trial.dtype))
    found = out_of(trial).double() - out_of(trial, without).double()
    trial.close(
        found,
        large,
        allowed_error(trial) + allowed_error(trial, without),
        "the contribution of the outlier columns to out",
    )


@claim(
    "with an infinite threshold every column is int8",
    broken_by="threshold_fixed_at_6",
    cases=pure_cases,
    max_cases=10,
    aliases=("without_a_threshold_all_is_int8",),
)
def infinite_threshold_is_all_int8(trial: Trial) -> None:
    """The output is the integer product, however large x is."""
    equals_the_integer_product(trial)


@claim(
    "with threshold 0 no column of x is quantized",
    broken_by="threshold_fixed_at_6",
    max_cases=12,
    aliases=("with_threshold_zero_nothing_of_x_is_rounded",),
)
def zero_threshold_leaves_x_unrounded(trial: Trial) -> None:
    """The output is x times the weight in the precision of x.

    The weight is an integer number of steps here: keeping it and dequantizing its codes give the same numbers.
    """
    x, weight, bias, _ = arguments_of(trial.case)
    codes, step = coded(weight)
    build, forward = trial.case.calls
    lowest = 1e-30 if trial.has_form("zero_means_none") else 0.0
    arguments = {**build.arguments, "weight": codes * step, "threshold": lowest}
    case = replace(trial.case, calls=(Call("build", arguments), forward))
    given = case.cast(trial.dtype)
    x, weight, bias, _ = arguments_of(given)
    expected = x.double() @ weight.double().T + (0.0 if bias is None else bias.double())
    out = trial.run(case).value
    trial.close(out.double(), expected, allowed_error(trial, case), "with threshold 0, out")


@claim(
    "the gradient of x is that of a linear layer with the dequantized weight",
    broken_by="straight_through_gradient_missing",
    max_cases=16,
    aliases=("the_gradient_is_that_of_the_dequantized_weight",),
    about=frozenset({About.GRADIENT}),
)
def gradient_uses_the_dequantized_weight(trial: Trial) -> None:
    """For ordinary and outlier columns, as if x had not been rounded."""
    case = trial.case.cast(trial.dtype)
    _, weight, *_ = arguments_of(case)
    answer = trial.run(gradients=True)
    found = answer.gradients.get("x")
    if found is None:
        raise Violation("no gradient reaches x: rounding has none; pass it through as if x were not quantized")
    codes, step = coded(weight.double())
    expected = trial.cotangent(answer.value) @ (codes * step)
    tolerance = 2 * trial.agreement(gradients=True)[1].gradients["x"]
    trial.close(found.double(), expected, tolerance, "the gradient of x")


@claim(
    "an input of zeros gives the bias, for one row and for many",
    broken_by="bias_lost_for_one_row",
    max_cases=12,
    aliases=("the_bias_is_added_once",),
)
def zero_input_gives_the_bias(trial: Trial) -> None:
    x, _, bias, _ = arguments_of(trial.case)
    if bias is None:
        trial.not_applicable()
    assert bias is not None
    for zeros in (torch.zeros_like(x), torch.zeros(1, x.shape[-1], dtype=x.dtype)):
        case = trial.case.changed(x=zeros)
        out = out_of(trial, case).double()
        trial.close(out, bias.double().expand(out.shape), allowed_error(trial, case), "for an x of zeros, out")


@claim(
    "without outliers a row alone gives the same output as in its batch",
    broken_by="one_scale_for_x",
    max_cases=12,
    aliases=("one_row_alone_is_the_same",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    """Each row has a scale of its own, so its output does not depend on other rows."""
    case = with_threshold(trial.case, INFINITY)
    x, *_ = arguments_of(case)
    rows = x.reshape(-1, x.shape[-1])
    whole = out_of(trial, case)
    for place in {0, len(rows) - 1}:
        alone = case.changed(x=rows[place : place + 1])
        tolerance = allowed_error(trial, case) + allowed_error(trial, alone)
        trial.close(out_of(trial, alone), whole[place : place + 1], tolerance, "one row alone, out")


@claim(
    "outlier columns and scales are computed anew for each call",
    broken_by="outliers_cached_across_calls",
    cases=outlier_cases,
    max_cases=8,
    aliases=("an_earlier_call_changes_nothing",),
)
def outliers_and_scales_are_not_cached(trial: Trial) -> None:
    """A call with another x, which has no outliers, comes before."""
    x, _, _, threshold = arguments_of(trial.case)
    build, forward = trial.case.calls
    outlier = x.abs().reshape(-1, x.shape[-1]).amax(0) >= threshold
    other = Call("forward", {"x": (0.5 * x.masked_fill(outlier, 0.0)).flip(0)})
    after = trial.run(replace(trial.case, calls=(build, other, forward))).value
    trial.close(after, trial.run().value, allowed_error(trial), "after a call with another x, out")


@claim(
    "in bfloat16 and float16 the error is at most four roundings per product",
    broken_by="scales_divided",
    cases=exact_cases,
    max_cases=8,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    """x and the weight are exact in 16 bits and in codes: only the steps and the output are rounded."""
    refused = []
    for dtype in (torch.bfloat16, torch.float16):
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        given = trial.case.cast(dtype).cast(torch.float64)
        x, weight, bias, _ = arguments_of(given)
        sizes = x.abs() @ weight.abs().T + (0.0 if bias is None else bias.abs())
        expected = x @ weight.T + (0.0 if bias is None else bias)
        error = float(((answer.value.double() - expected).abs() / (4 * torch.finfo(dtype).eps * sizes)).max())
        if not error <= 1:
            raise Violation(f"in {dtype} the error exceeds four roundings of every product", error=error)
        trial.note_error(error)
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))


CONTRACT = Contract(
    name="int8_linear",
    meaning="Linear layer on int8 codes (LLM.int8()), with the outlier columns of x kept in full precision.",
    calls={
        "build": Signature(
            (
                Argument("weight", "float[out_features, in_features]", "setting"),
                Argument("bias", "float[out_features]", "setting", optional=True),
                Argument("threshold", "float", "setting", optional=True, default=6.0),
            ),
            "the layer",
        ),
        "forward": Signature((Argument("x", "float[..., in_features]"),), "float[..., out_features]"),
    },
    reference=int8_linear,
    cases=cases,
    invalid=invalid_cases,
    leading_axes=("x",),
    half_precision=False,
    order=92,
    case_count=24,
    variants=(
        Variant(
            "zero_means_none",
            "A threshold of 0 means that no column is an outlier, as in bitsandbytes; "
            "here it means that every column is.",
            (
                Edit(
                    int8_linear.outliers,
                    "return largest >= self.threshold",
                    "return (largest >= self.threshold) & (self.threshold > 0)",
                ),
            ),
        ),
    ),
    measures=(Measure("memory", "bytes per weight, scales included", memory),),
    sources=(
        "Dettmers et al. 2022 (LLM.int8()), section 3, equations 7 and 8",
        "bitsandbytes autograd/_functions.py MatMul8bitLt",
    ),
    claims=(
        equals_the_integer_product,
        large_sums_do_not_overflow,
        outliers_keep_their_precision,
        outliers_do_not_affect_other_columns,
        infinite_threshold_is_all_int8,
        zero_threshold_leaves_x_unrounded,
        gradient_uses_the_dequantized_weight,
        zero_input_gives_the_bias,
        rows_of_a_batch_are_independent,
        outliers_and_scales_are_not_cached,
        accurate_in_half_precision,
    ),
)
