"""A linear layer in int8 whose outlier columns stay in high precision: LLM.int8().

Numbers are drawn as codes: a whole number of steps, and up to 0.4 of a step more. So every right layer has the same codes,
whatever it does with ties and wherever it rounds, and its product of integers is one number. In outlier columns the weight
lies on whole steps: there it makes no difference whether a layer has kept the weight or takes it back from its codes.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import make, seeds
from reference_model.int8_linear import int8_linear

INFINITY = math.inf


# cases ---------------------------------------------------------------------------------------------------------------


def script(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, threshold: float, family: str, **sizes: int
) -> Case:
    calls = (Call("build", {"weight": weight, "bias": bias, "threshold": threshold}), Call("forward", {"x": x}))
    return Case(calls, sizes, family)


def steps(shape: tuple[int, int], seed: int, aside: float, whole: list[int]) -> torch.Tensor:
    """Numbers of steps, at most 127, in every row once exactly: whole ones, and ``aside`` of a step more at most but in the
    columns ``whole``. Never half-way between two."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-126, 127, shape, generator=generator).double()
    values += aside * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
    values[:, whole] = values[:, whole].round()
    ends = [column for column in range(shape[1]) if column not in whole]
    for row in range(shape[0]):
        place = ends[int(torch.randint(0, len(ends), (), generator=generator))]
        values[row, place] = 127.0 if torch.rand((), generator=generator) < 0.5 else -127.0
    return values


def layer(
    rows: int, inputs: int, outputs: int, outliers: list[int], threshold: float, seed: int, aside: float = 0.4
) -> tuple[torch.Tensor, torch.Tensor]:
    """x and weight on steps of many sizes; the columns ``outliers`` of x reach beyond the threshold, no other does."""
    generator = torch.Generator().manual_seed(seed + 1)
    limit = threshold if 0 < threshold < INFINITY else 6.0
    share = 0.05 + 0.85 * torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    x = steps((rows, inputs), seed, aside, outliers) * share * limit / 127
    for column in outliers:
        x[:, column] = 0.3 * limit * torch.randn(rows, generator=generator, dtype=torch.float64).clamp(-2, 2)
        size = 1.1 + 6 * float(torch.rand((), generator=generator))
        sign = 1.0 if torch.rand((), generator=generator) < 0.5 else -1.0
        x[int(torch.randint(0, rows, (), generator=generator)), column] = sign * size * limit
    width = 10.0 ** (2 * torch.rand(outputs, 1, generator=generator, dtype=torch.float64) - 1.5)
    return x, steps((outputs, inputs), seed + 2, aside, outliers) * width / 127


@st.composite
def cases(draw: st.DrawFn, aside: float = 0.4) -> Case:
    """No outlier column, one or two, now and then a row of zeros; a single row in one of four."""
    sizes = draw(distinct_sizes(batch=(1, 3), time=(1, 5), in_features=(3, 9), out_features=(2, 8)))
    inputs, outputs, seed = sizes["in_features"], sizes["out_features"], draw(seeds)
    shape = draw(
        st.sampled_from(((sizes["batch"], sizes["time"]), (sizes["time"],), (sizes["batch"], sizes["time"]), (1,)))
    )
    rows = math.prod(shape)
    threshold = draw(st.sampled_from((6.0, 3.5, 20, INFINITY)))
    most = 0 if threshold == INFINITY else min(2, inputs - 1)
    outliers = sorted(draw(st.sets(st.integers(0, inputs - 1), max_size=most)))
    x, weight = layer(rows, inputs, outputs, outliers, threshold, seed, aside)
    if not outliers and draw(st.integers(0, 3)) == 3:
        x[0] = 0.0
    bias = make("normal", (outputs,), seed + 3) if draw(st.integers(0, 3)) else None
    family = f"{len(outliers)} outlier columns, threshold {threshold:g}"
    return script(x.reshape(*shape, inputs), weight, bias, threshold, family, **sizes)


@st.composite
def outlier_cases(draw: st.DrawFn) -> Case:
    """Outliers in every case."""
    seed, inputs, outputs = draw(seeds), draw(st.sampled_from((5, 7, 3))), draw(st.sampled_from((4, 2, 6)))
    outliers = sorted(draw(st.sets(st.integers(0, inputs - 1), min_size=1, max_size=2)))
    threshold = draw(st.sampled_from((6.0, 3.5)))
    x, weight = layer(3, inputs, outputs, outliers, threshold, seed)
    return script(x, weight, make("normal", (outputs,), seed + 3), threshold, "outliers", rows=3)


@st.composite
def pure_cases(draw: st.DrawFn) -> Case:
    """No threshold at all, and ordinary numbers that lie on no steps."""
    seed, inputs, outputs = draw(seeds), draw(st.sampled_from((5, 7, 3))), draw(st.sampled_from((4, 2, 6)))
    x, weight = layer(3, inputs, outputs, [], 6.0, seed)
    x = x * draw(st.sampled_from((1.0, 30.0)))
    return script(x, weight, make("normal", (outputs,), seed + 3), INFINITY, "every number below the threshold", rows=3)


@st.composite
def wide_cases(draw: st.DrawFn) -> Case:
    """Hundreds of products of 127 with 127, all of one sign: more than 16 bits hold."""
    inputs = draw(st.sampled_from((300, 137)))
    x = torch.full((2, inputs), 127.0, dtype=torch.float64) * 0.01
    x[1] *= -1
    weight = torch.full((3, inputs), 127.0, dtype=torch.float64) * torch.tensor(
        [[0.02], [-0.5], [0.25]], dtype=torch.float64
    )
    return script(
        x, weight, make("normal", (3,), draw(seeds)), draw(st.sampled_from((6.0, INFINITY))), "a large sum", rows=2
    )


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """An x of another width than the weight."""
    case = draw(outlier_cases())
    x = case.arguments["x"]
    return replace(case.changed(x=torch.cat([x, x[..., :1]], -1)), family="an x that is one wider than the weight")


# what is right, from the codes ---------------------------------------------------------------------------------------


def asked(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, float]:
    build = case.calls[0].arguments
    return case.arguments["x"], build["weight"], build["bias"], build["threshold"]


def with_threshold(case: Case, threshold: float) -> Case:
    build, forward = case.calls
    return replace(case, calls=(Call("build", {**build.arguments, "threshold": threshold}), forward))


def coded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """WholeModel numbers of steps, and the step of each row: its largest number over 127."""
    step = rows.abs().amax(1, keepdim=True) / 127
    step = torch.where(step > 0, step, torch.ones_like(step))
    return (rows / step).round(), step


def by_integers(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """What comes out (bias left out) of the ordinary columns, by integers, and of the outlier columns."""
    x, weight, _, threshold = asked(case)
    rows = x.reshape(-1, x.shape[-1]).double()
    outlier = rows.abs().amax(0) >= threshold
    codes, step = coded(rows.masked_fill(outlier, 0.0))
    weight_codes, weight_step = coded(weight.double())
    product = codes.long() @ weight_codes.long().T
    return product * step * weight_step.T, rows.masked_fill(~outlier, 0.0) @ (weight_codes * weight_step).T


def out_of(trial: Trial, case: Case | None = None) -> torch.Tensor:
    """What comes out, as rows."""
    x, weight, *_ = asked(case or trial.case)
    out = trial.run(case).value
    if not torch.is_tensor(out) or out.shape != (*x.shape[:-1], len(weight)):
        found = list(out.shape) if torch.is_tensor(out) else f"a {type(out).__name__}"
        raise Violation(f"out has shape {found}; expected {[*x.shape[:-1], len(weight)]}")
    return out.reshape(-1, len(weight))


def bound(trial: Trial, case: Case | None = None) -> float:
    return 2 * trial.agreement(case)[1].value


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "it is the exact integer product of the codes, times the row scales of x and of the weight",
    broken_by="x_not_quantized",
    aliases=("is_the_product_of_integers",),
)
def equals_the_integer_product(trial: Trial) -> None:
    """Codes by codes as whole numbers, times the step of the row of x and of the row of the weight; plus what the outlier
    columns give, plus the bias."""
    case = trial.case.cast(trial.dtype)
    _, _, bias, _ = asked(case)
    small, large = by_integers(case)
    expected = small + large + (0.0 if bias is None else bias.double())
    trial.close(out_of(trial).double(), expected, bound(trial), "the product of integers times the scales")


@claim(
    "sums of hundreds of products 127 * 127 do not overflow", broken_by="sums_in_int16", cases=wide_cases, max_cases=2
)
def large_sums_do_not_overflow(trial: Trial) -> None:
    equals_the_integer_product(trial)


@claim(
    "outlier columns are not quantized", broken_by="outliers_quantized_separately", cases=outlier_cases, max_cases=10
)
def outliers_keep_their_precision(trial: Trial) -> None:
    """A thousandth more in an outlier column of x gives a thousandth more of what that column gives, and nothing else moves."""
    x, weight, *_ = asked(trial.case)
    column = int(x.abs().amax(0).argmax())
    moved = x.clone()
    more = 1e-3 * x[:, column].abs().clamp(min=1.0) * x[:, column].sign()
    moved[:, column] += more
    changed = trial.case.changed(x=moved)
    expected = more[:, None] * weight[:, column]
    tolerance = bound(trial) + bound(trial, changed)
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
    """The rows come out as without the outlier columns, plus what those give: other columns lose nothing to them."""
    x, _, _, threshold = asked(trial.case)
    outlier = x.abs().amax(0) >= threshold
    without = trial.case.changed(x=x.masked_fill(outlier, 0.0))
    _, large = by_integers(trial.case.cast(trial.dtype))
    found = out_of(trial).double() - out_of(trial, without).double()
    trial.close(found, large, bound(trial) + bound(trial, without), "the contribution of the outlier columns to out")


@claim(
    "with an infinite threshold every column is int8",
    broken_by="threshold_fixed_at_6",
    cases=pure_cases,
    max_cases=10,
    aliases=("without_a_threshold_all_is_int8",),
)
def infinite_threshold_is_all_int8(trial: Trial) -> None:
    """threshold = infinity: the pure product of integers, however large x is."""
    equals_the_integer_product(trial)


@claim(
    "with threshold 0 no column of x is quantized",
    broken_by="threshold_fixed_at_6",
    max_cases=12,
    aliases=("with_threshold_zero_nothing_of_x_is_rounded",),
)
def zero_threshold_leaves_x_unrounded(trial: Trial) -> None:
    """threshold = 0: x times the weight, in x's precision. The weight lies on steps here: whether it is the one that was given
    or the one of its codes makes no difference."""
    x, weight, bias, _ = asked(trial.case)
    codes, step = coded(weight)
    build, forward = trial.case.calls
    lowest = 1e-30 if trial.variant == "zero_means_none" else 0.0
    arguments = {**build.arguments, "weight": codes * step, "threshold": lowest}
    case = replace(trial.case, calls=(Call("build", arguments), forward))
    given = case.cast(trial.dtype)
    x, weight, bias, _ = asked(given)
    expected = x.double() @ weight.double().T + (0.0 if bias is None else bias.double())
    out = trial.run(case).value
    trial.close(out.double(), expected, bound(trial, case), "with threshold 0, out")


@claim(
    "the gradient of x is that of a linear layer with the dequantized weight",
    broken_by="straight_through_gradient_missing",
    max_cases=16,
    aliases=("the_gradient_is_that_of_the_dequantized_weight",),
)
def gradient_uses_the_dequantized_weight(trial: Trial) -> None:
    """Of ordinary and outlier columns alike, as if x had not been rounded."""
    case = trial.case.cast(trial.dtype)
    _, weight, *_ = asked(case)
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
    """For one row and for many; zeros give the bias alone."""
    x, _, bias, _ = asked(trial.case)
    if bias is None:
        trial.not_applicable()
    assert bias is not None
    for zeros in (torch.zeros_like(x), torch.zeros(1, x.shape[-1], dtype=x.dtype)):
        case = trial.case.changed(x=zeros)
        out = out_of(trial, case).double()
        trial.close(out, bias.double().expand(out.shape), bound(trial, case), "for an x of zeros, out")


@claim(
    "without outliers a row alone gives the same output as in its batch",
    broken_by="one_scale_for_x",
    max_cases=12,
    aliases=("one_row_alone_is_the_same",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    """Without outliers each row has a scale of its own: what it gives does not depend on the others."""
    case = with_threshold(trial.case, INFINITY)
    x, *_ = asked(case)
    rows = x.reshape(-1, x.shape[-1])
    whole = out_of(trial, case)
    for place in {0, len(rows) - 1}:
        alone = case.changed(x=rows[place : place + 1])
        tolerance = bound(trial, case) + bound(trial, alone)
        trial.close(out_of(trial, alone), whole[place : place + 1], tolerance, "one row alone, out")


@claim(
    "outlier columns and scales are computed anew for each call",
    broken_by="outliers_cached_across_calls",
    cases=outlier_cases,
    max_cases=8,
    aliases=("an_earlier_call_changes_nothing",),
)
def outliers_and_scales_are_not_cached(trial: Trial) -> None:
    """Which columns are outliers, and every scale of x, is found anew at each call."""
    x, _, _, threshold = asked(trial.case)
    build, forward = trial.case.calls
    outlier = x.abs().reshape(-1, x.shape[-1]).amax(0) >= threshold
    other = Call("forward", {"x": (0.5 * x.masked_fill(outlier, 0.0)).flip(0)})
    after = trial.run(replace(trial.case, calls=(build, other, forward))).value
    trial.close(after, trial.run().value, bound(trial), "after a call with another x, out")


@st.composite
def whole_cases(draw: st.DrawFn) -> Case:
    """x and the weight are whole numbers of steps, the steps powers of two: 16 bits hold them exactly."""
    seed = draw(seeds)
    x, weight = steps((3, 5), seed, 0.0, []) / 64, steps((4, 5), seed + 1, 0.0, []) / 256
    return script(
        x, weight, make("small integers", (4,), seed + 2), draw(st.sampled_from((6.0, INFINITY))), "16 bit", rows=3
    )


@claim(
    "in bfloat16 and float16 the error is at most four roundings per product",
    broken_by="scales_divided",
    cases=whole_cases,
    max_cases=8,
    aliases=("half_precision_is_kept",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    """16-bit x and weights that lie on codes: only the result is rounded, and the steps."""
    refused, worst = [], 0.0
    for dtype in (torch.bfloat16, torch.float16):
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused.append(f"{str(dtype).removeprefix('torch.')} ({answer.crash.error})")
            continue
        given = trial.case.cast(dtype).cast(torch.float64)
        x, weight, bias, _ = asked(given)
        sizes = x.abs() @ weight.abs().T + (0.0 if bias is None else bias.abs())
        expected = x @ weight.T + (0.0 if bias is None else bias)
        error = float(((answer.value.double() - expected).abs() / (4 * torch.finfo(dtype).eps * sizes)).max())
        if not error <= 1:
            raise Violation(f"in {dtype} the error exceeds four roundings of every product", error=error)
        worst = max(worst, error)
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))
    trial.note_error(worst)


def memory(trial: Trial) -> Measurement | None:
    """Bytes per weight, everything that the layer holds counted, for 256 x 512 float32 weights."""
    weight = make("normal", (256, 512), 3)
    case = script(make("normal", (2, 512), 4), weight, None, 6.0, "measured")
    held = trial.run(case, dtype=torch.float32, weigh=True).facts.get("bytes")
    if held is None:
        return None
    each = held / weight.numel()
    return Measurement(
        sentence=f"A weight takes {each:.3f} bytes, {each / 4:.1%} of float32.",
        how="total memory of a layer of 256 x 512 float32 weights after one forward pass",
        value=each,
        unit="bytes per weight",
    )


CONTRACT = Contract(
    name="int8_linear",
    meaning="Linear layer on int8 codes (LLM.int8()), with the outlier columns of x kept in full precision.",
    calls={
        "build": Signature(
            (
                Argument("weight", "float[out_features, in_features]", "setting"),
                Argument("bias", "float[out_features]", "setting", optional=True),
                Argument("threshold", "number", "setting", optional=True, default=6.0),
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
            "A threshold of 0 means that no column is an outlier, as in bitsandbytes; here it means that every column is.",
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
