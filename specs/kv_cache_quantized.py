"""A cache of keys and values in a few bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Claim, Crashed, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure, Measurement
from harness.numerics.tolerance import EPSILON
from harness.strategies.tensors import make
from reference_model.kv_cache_quantized import kv_cache_quantized
from specs.shared.attention import learned
from specs.shared.caches import (
    CALLS,
    OPTIONAL_METHODS,
    PIECES,
    bytes_after,
    joined,
    length_is_what_was_given,
    overflowing,
    recut,
    reset_forgets,
    scripts,
    sequence,
    two_in_flight_do_not_mix,
    unusable,
)

BITS = (3, 4, 8, 2)
CONTENTS = Call("contents", {})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two to eight bits; positions, rows and heads differ in size, for levels shared by two of them are too coarse for one."""
    case = draw(scripts(("normal", "wide", "small integers"), bits=draw(st.sampled_from(BITS))))
    whole, kind = sequence(case), draw(st.sampled_from(("uneven", "even", "one large position", "uneven")))
    if kind == "uneven":
        generator = torch.Generator().manual_seed(whole.numel())
        whole = whole * 4.0 ** torch.randint(-2, 3, (*whole.shape[:2], 1), generator=generator)
    elif kind == "one large position":
        whole = whole.clone()
        whole[:, whole.shape[1] // 2] *= 30
    lengths = [call.arguments["x"].shape[1] for call in case.calls[1:]]
    cut = recut(replace(case, calls=(case.calls[0], Call("prefill", {"x": whole}))), lengths)
    return replace(cut, family=f"{case.family}, {kind}, {case.calls[0].arguments['bits']} bits")


@st.composite
def fine(draw: st.DrawFn) -> Case:
    """Values of one size in many bits: where the bound on what comes out is narrow."""
    return draw(scripts(("normal",), bits=draw(st.sampled_from((8, 8, 6)))))


@st.composite
def too_many(draw: st.DrawFn) -> Case:
    case = draw(overflowing())
    return _with_bits(case, 4)


@st.composite
def not_to_be_used(draw: st.DrawFn) -> Case:
    return _with_bits(draw(unusable()), 4)


@st.composite
def silent(draw: st.DrawFn) -> Case:
    """No biases, and positions of zeros: their keys and values are zeros, a range of nothing."""
    case = _with_bits(draw(scripts(("normal",))), draw(st.sampled_from(BITS)))
    build = case.calls[0].with_arguments({**case.calls[0].arguments, "qkv_bias": None})
    calls = (
        c.with_arguments({"x": torch.zeros_like(c.arguments["x"])}) if i % 2 == 0 else c
        for i, c in enumerate(case.calls[1:])
    )
    return replace(case, calls=(build, *calls), family="positions of zeros")


def _with_bits(case: Case, bits: int) -> Case:
    build, *rest = case.calls
    return replace(case, calls=(build.with_arguments({**build.arguments, "bits": bits}), *rest))


# the bound -----------------------------------------------------------------------------------------------------------


def exact_heads(trial: Trial, case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q, k and v of the whole sequence in float64, from arguments as they were given.  -> three [B, H, T, K]"""
    a = case.cast(trial.dtype).cast(torch.float64).calls[0].arguments
    x = sequence(case.cast(trial.dtype)).double()
    qkv = x @ a["qkv_weight"].T + (0 if a["qkv_bias"] is None else a["qkv_bias"])
    q, k, v = qkv.unflatten(-1, (3, a["n_heads"], -1)).permute(2, 0, 3, 1, 4)
    return q, k, v


def allowed(trial: Trial, exact: torch.Tensor, bits: int) -> torch.Tensor:
    """How far a kept number may be off: half a step of 2^bits - 1 levels of each sign's share, absmax / (2^bits - 2) of its
    vector (symmetric codes; from the smallest number to the largest it is less), and a few roundings of the largest."""
    largest = exact.abs().amax(-1, keepdim=True)
    return (largest / (2**bits - 2) + 64 * EPSILON[trial.dtype] * exact.abs().max()).expand(exact.shape)


def _ratio(error: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    ratio = torch.where(error == 0, torch.zeros_like(error), error / bound)
    return ratio.nan_to_num(float("inf"), float("inf"))


@claim(
    "every key and value is stored to within half a step of its own vector",
    broken_by="rounded_down",
    aliases=("kept_within_the_bound",),
)
def error_within_half_a_step(trial: Trial) -> None:
    """contents() against the exact keys and values, each within half a step of its own vector."""
    _kept(trial, trial.case)


def _kept(trial: Trial, case: Case) -> None:
    found = trial.run(case.followed_by(CONTENTS)).value
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Violation(f"contents() must return (keys, values); it returns a {type(found).__name__}")
    _, k, v = exact_heads(trial, case)
    bits, worst = case.calls[0].arguments["bits"], 0.0
    for name, exact, kept in (("key", k, found[0]), ("value", v, found[1])):
        if not torch.is_tensor(kept) or kept.shape != exact.shape:
            shape = list(kept.shape) if torch.is_tensor(kept) else type(kept).__name__
            raise Violation(
                f"the stored {name}s are {shape}; expected {list(exact.shape)}: batch, head, position, feature"
            )
        ratio = _ratio((kept.double() - exact).abs(), allowed(trial, exact, bits))
        if float(ratio.max()) > 1:
            at = [int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape)]
            where = f"{name}{at} is stored as {float(kept[tuple(at)]):.6g}, expected {float(exact[tuple(at)]):.6g}"
            message = f"a {name} stored in {bits} bits is off by more than half a step of its own vector"
            raise Violation(message, worst=where, error=float(ratio.max()))
        worst = max(worst, float(ratio.max()))
    trial.note_error(worst)


@claim(
    "the output error is within what the bit width explains, however the sequence is split",
    broken_by="unscaled",
    cases=fine,
    max_cases=14,
    aliases=("attends_within_the_bound",),
)
def output_error_within_the_bound(trial: Trial) -> None:
    """Full attention, off by no more than keys and values that are off by the bound explain, however the sequence is cut.

    Scores move by e at most, e = sum |q| |dk| / sqrt(K); so weights by a factor within exp(-2 e) .. exp(2 e), and a mean of
    values by (exp(2 e) - 1) times the mean of |v|, and exp(2 e) times the mean of |dv|; then through |out_weight|.
    """
    time = sequence(trial.case).shape[1]
    for case in (trial.case, recut(trial.case, (time,)), recut(trial.case, (1,) * time)):
        _attends(trial, case)


def _attends(trial: Trial, case: Case) -> None:
    a = case.cast(trial.dtype).cast(torch.float64).calls[0].arguments
    q, k, v = exact_heads(trial, case)
    scale, time = 1 / math.sqrt(q.shape[-1]), q.shape[-2]
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    weights = (q @ k.mT * scale).masked_fill(future, float("-inf")).softmax(-1)
    off_k, off_v = (allowed(trial, t, a["bits"]) for t in (k, v))
    moved = (q.abs() @ off_k.mT * scale).masked_fill(future, 0.0).amax(-1, keepdim=True)
    slack = torch.expm1(2 * moved) * (weights @ v.abs()) + torch.exp(2 * moved) * (weights @ off_v)
    most = 2 * (v.abs() + off_v).amax(2, keepdim=True)  # whatever the weights are, out lies among the values
    slack = torch.minimum(slack.nan_to_num(float("inf"), float("inf")), most)
    whole, error = ((t.transpose(1, 2).flatten(2)) for t in (weights @ v, slack))
    expected = whole @ a["out_weight"].T + (0 if a["out_bias"] is None else a["out_bias"])
    bound = error @ a["out_weight"].abs().T + 64 * EPSILON[trial.dtype] * (expected.abs().max() + error.max())
    out = joined(case, trial.run(case).outputs).double()
    ratio = _ratio((out - expected).abs(), bound)
    if float(ratio.max()) > 1:
        at = [int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape)]
        where = f"out{at} = {float(out[tuple(at)]):.6g}, expected {float(expected[tuple(at)]):.6g} within {float(bound[tuple(at)]):.3g}"
        raise Violation(
            f"the output error exceeds what keys and values in {a['bits']} bits explain",
            worst=where,
            error=float(ratio.max()),
        )
    trial.note_error(float(ratio.max()))


@claim(
    "a row of large numbers does not affect the other rows of the batch",
    broken_by="range_shared_by_the_batch",
    max_cases=12,
    aliases=("rows_are_independent",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    """A row a thousand times as large beside the others: theirs are kept within the bound all the same."""
    if sequence(trial.case).shape[0] < 2:
        trial.not_applicable()
    calls = list(trial.case.calls[:1])
    for call in trial.case.calls[1:]:
        x = call.arguments["x"].clone()
        x[-1] *= 1000
        calls.append(call.with_arguments({"x": x}))
    beside = replace(trial.case, calls=tuple(calls))
    found, (_, k, v) = trial.run(beside.followed_by(CONTENTS)).value, exact_heads(trial, beside)
    bits, worst = beside.calls[0].arguments["bits"], 0.0
    for name, exact, kept in (("keys", k, found[0]), ("values", v, found[1])):
        bound = allowed(trial, exact[:-1], bits)
        ratio = float(_ratio((kept[:-1].double() - exact[:-1]).abs(), bound).max())
        if ratio > 1:
            raise Violation(f"a row of large numbers degrades the {name} of other rows", error=ratio)
        worst = max(worst, ratio)
    trial.note_error(worst)


@claim(
    "vectors of zeros are stored as zeros",
    broken_by="scale_without_guard",
    cases=silent,
    max_cases=8,
    aliases=("nothing_stays_nothing",),
)
def zero_vectors_stay_zero(trial: Trial) -> None:
    """A vector of zeros has no range; it comes back as zeros, and no number is nan."""
    answer = trial.run(trial.case.followed_by(CONTENTS))
    for call, output in zip(trial.case.calls, answer.outputs, strict=False):
        if call.method in PIECES and not bool(torch.isfinite(output).all()):
            raise Violation(f"{call.method}() of positions of zeros is not finite")
    _kept(trial, trial.case)


@claim(
    "positions beyond the context are refused",
    broken_by="context_limit_not_enforced",
    cases=too_many,
    max_cases=8,
    aliases=("what_does_not_fit_is_refused",),
)
def overflow_is_refused(trial: Trial) -> None:
    answer = trial.attempt()
    if answer.crash is None:
        raise Violation(f"it accepts {trial.case.family} without an error; it must raise one")
    if answer.crash.call <= trial.case.dimensions["fitting"]:
        raise Crashed(answer)


# memory --------------------------------------------------------------------------------------------------------------


MEASURED = {"batch": 1, "width": 256, "heads": 2, "time": 64}


@st.composite
def memory_cases(draw: st.DrawFn) -> Case:
    """Two heads of 128 features, 64 positions and one step."""
    m, seed = MEASURED, draw(st.integers(0, 9))
    width, time = m["width"], m["time"]
    weights = {
        "qkv_weight": learned("normal", (3 * width, width), seed, 0.06),
        "qkv_bias": None,
        "out_weight": learned("normal", (width, width), seed + 1, 0.06),
        "out_bias": None,
    }
    x = make("normal", (m["batch"], time + 1, width), seed + 2)
    build = Call("build", {**weights, "n_heads": m["heads"], "context": time + 1, "bits": 3})
    calls = (build, Call("prefill", {"x": x[:, :time].clone()}), Call("step", {"x": x[:, time:].clone()}))
    return Case(calls, dict(m), "normal")


def memory(trial: Trial, dtypes: Sequence[torch.dtype] = (torch.bfloat16,)) -> Measurement:
    """A cache of 16-bit numbers over what is held beyond the empty cache, by bits."""
    m, series = MEASURED, {}
    plain = 2.0 * m["batch"] * (m["time"] + 1) * m["width"] * 2
    for bits in (2, 3, 4, 8):
        case = _with_bits(trial.case, bits)
        held = bytes_after(trial, case, 3, dtypes[0]) - bytes_after(trial, case, 1, dtypes[0])
        series[f"{bits} bits"] = plain / held
    return Measurement(
        f"in 3 bits keys and values take {series['3 bits']:.3g} times less memory than in 16 bits ({series['4 bits']:.3g} in 4, "
        f"{series['8 bits']:.3g} in 8)",
        "bytes of 16-bit keys and values over bytes of all tensors added since build(); two heads of 128 features, bfloat16",
        series["3 bits"],
        "times less than in 16 bits",
        series,
    )


BUILD = CALLS["build"]

CONTRACT = Contract(
    name="kv_cache_quantized",
    meaning="Key-value cache in a few bits, with separate quantization levels for each vector of a head. extend, length and reset are optional.",
    calls={
        **CALLS,
        "build": Signature((*BUILD.arguments, Argument("bits", "integer", role="setting")), BUILD.result),
        "contents": Signature((), "(keys: float[batch, heads, positions, size], values: the same)"),
    },
    optional_methods=OPTIONAL_METHODS,
    reference=kv_cache_quantized,
    cases=cases,
    invalid=not_to_be_used,
    differentiable=False,
    agrees=False,
    order=93,
    case_count=16,
    sources=("Liu et al. 2024 (KIVI), section 3", "Sheng et al. 2023 (FlexGen), section 5"),
    measures=(Measure("memory", "memory saved compared with 16 bits, per bit width", memory, memory_cases),),
    claims=(
        error_within_half_a_step,
        output_error_within_the_bound,
        rows_of_a_batch_are_independent,
        zero_vectors_stay_zero,
        Claim(
            "instances_are_independent",
            "two caches in use at the same time do not affect each other",
            two_in_flight_do_not_mix,
            broken_by="cache_shared_by_all_instances",
            max_cases=8,
            aliases=("two_in_flight_do_not_mix",),
        ),
        overflow_is_refused,
        Claim(
            "length_counts_positions",
            "length() returns the number of positions fed so far",
            length_is_what_was_given,
            broken_by="length_of_the_last_chunk",
            max_cases=8,
            aliases=("length_is_what_was_given",),
        ),
        Claim(
            "reset_clears_the_cache",
            "after reset() the cache behaves as if newly built",
            reset_forgets,
            broken_by="reset_keeps_the_keys",
            max_cases=8,
            aliases=("reset_forgets",),
        ),
    ),
)
