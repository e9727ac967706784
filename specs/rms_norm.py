"""Root mean square normalisation."""

import torch
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.strategies.shapes import distinct_sizes
from harness.strategies.tensors import parameters, tensors
from reference_model.rms_norm import rms_norm
from specs.naming.cs336 import CS336_RMS_NORM
from specs.naming.parameters import GAINS
from specs.naming.sizes import SIZES
from specs.shared.attention import output, tolerance
from specs.shared.model_forms import CLAMPED_NORM, UNIT_OFFSET
from specs.shared.quorums import THREE_FEATURES
from specs.workloads import parts as workloads


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small widths distinguish the norm of a row from its root mean square; a large eps shows whether it is inside the
    root."""
    sizes = draw(distinct_sizes(batch=(1, 4), time=(1, 6), width=(2, 9)))
    x, family = draw(tensors(tuple(sizes.values())))
    eps = draw(st.sampled_from((1e-5, 1e-5, 1e-6, 1e-3, 0.1)))
    weight = draw(parameters((sizes["width"],), 0.5, around=1.5))
    return Case.of({"x": x, "weight": weight, "eps": eps}, family=family, **sizes)


@st.composite
def wide_rows(draw: st.DrawFn) -> Case:
    """Long rows: 8 bits of mantissa do not hold the sum of their squares. Large ones: 11 bits and 5 of exponent
    overflow where |x| reaches 256."""
    width = draw(st.sampled_from((64, 300, 1000)))
    x, _ = draw(tensors((3, width), ("normal",), overrides=False))
    size = draw(st.sampled_from((1.0, 100.0, 1e-3, 1000.0)))
    weight = draw(parameters((width,), 0.1, around=1.5))
    return Case.of({"x": size * x, "weight": weight, "eps": 1e-5}, family=f"wide rows of size {size:g}", width=width)


@claim(
    "scaling x does not change the output, up to eps",
    broken_by="eps_outside_the_root",
    aliases=("unchanged_by_a_scale",),
)
def scale_invariant(trial: Trial) -> None:
    """Up to eps: scaling x by s is the same as dividing eps by s squared."""
    x, eps = trial.case.arguments["x"], trial.case.arguments["eps"]
    scaled, eased = trial.case.changed(x=x * 4.0), trial.case.changed(eps=eps / 16.0)
    bound = tolerance(trial, scaled, eased)
    trial.close(output(trial, scaled), output(trial, eased), bound, "with 4 x, compared with eps / 16, out")


@claim("-x gives -out: nothing is added", broken_by="sign_lost", aliases=("turns_with_the_sign",))
def odd_function(trial: Trial) -> None:
    """There is no bias: -x gives -out."""
    mirrored = trial.case.changed(x=-trial.case.arguments["x"])
    trial.close(output(trial, mirrored), -output(trial), tolerance(trial, None, mirrored), "for -x, out")


@claim(
    "the mean of x is not removed: a constant row stays",
    broken_by="mean_subtracted",
    max_cases=14,
    aliases=("keeps_the_mean",),
)
def mean_is_not_removed(trial: Trial) -> None:
    """A constant row becomes 1 times the gain; layer_norm, which subtracts the mean, gives zeros."""
    a = trial.case.arguments
    constant = trial.case.changed(x=torch.full_like(a["x"], 3.0))
    exact, bound = trial.agreement(constant)
    out = output(trial, constant)
    if bool(out.abs().max() <= 0.1 * exact.value.abs().max()):
        raise Violation("a constant row becomes zero: the mean is removed, as in layer_norm; rms_norm must keep it")
    trial.close(out, exact.value, bound.value, "for rows of 3, out")


@claim("each position is normalised on its own", broken_by="over_the_time_axis")
def over_the_last_axis_only(trial: Trial) -> None:
    """The output at a position depends on that position alone."""
    x = trial.case.arguments["x"]
    if x.shape[:-1].numel() < 2:
        trial.not_applicable()
    alone = trial.case.changed(x=x[-1:, -1:])
    bound = tolerance(trial, None, alone)
    trial.close(output(trial, alone), output(trial)[-1:, -1:], bound, "the last position alone, out")


@claim(
    "the mean square of half-precision inputs is computed in float32",
    broken_by="half_precision_statistics",
    cases=wide_rows,
    max_cases=12,
    aliases=("half_precision_statistics",),
)
def statistics_in_float32(trial: Trial) -> None:
    refused = 0
    for dtype in (torch.bfloat16, torch.float16):
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            refused += 1
            continue
        exact, bound = trial.agreement(dtype=dtype)
        trial.close(answer.value, exact.value, bound.value, f"in {dtype}, out")
    if refused == 2:
        trial.not_applicable()


CONTRACT = Contract(
    name="rms_norm",
    meaning="RMS normalisation: root mean square 1 over the features, then scaled per feature; the mean stays.",
    calls={
        "call": Signature(
            (
                Argument("x", "float[..., width]"),
                Argument("weight", "float[width]", role="parameter", aliases=GAINS),
                Argument("eps", "float", role="setting", optional=True, default=1e-5),
            ),
            "float[..., width]",
        )
    },
    reference=rms_norm,
    cases=cases,
    rows=("x",),
    leading_axes=("x",),
    classes=("rmsnorm", "rootmeansquarenorm", "rmsnormalization", "norm"),
    size_names=SIZES,
    dialects=(CS336_RMS_NORM,),
    order=22,
    case_count=26,
    variants=(UNIT_OFFSET, CLAMPED_NORM),
    sources=("Zhang & Sennrich 2019, section 3, equation 4", "meta-llama/llama llama/model.py RMSNorm"),
    workloads=workloads.RMS_NORM,
    quorum=(THREE_FEATURES,),
    claims=(
        scale_invariant,
        odd_function,
        mean_is_not_removed,
        over_the_last_axis_only,
        statistics_in_float32,
    ),
)
