"""Caches of quantized keys and values: their cases, the errors that quantization explains, and their memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.measurement import Measurement
from harness.numerics.tolerance import EPSILON
from harness.strategies.tensors import make
from specs.shared.attention import learned
from specs.shared.caches import bytes_after, joined, overflowing, recut, scripts, sequence, unusable

BITS = (3, 4, 8, 2)


CONTENTS = Call("contents", {})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two to eight bits. Positions, rows and heads differ in scale, so that shared levels are too coarse for one."""
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
def fine_cases(draw: st.DrawFn) -> Case:
    """Values of one scale in six or eight bits, where the bound on the output is narrow."""
    return draw(scripts(("normal",), bits=draw(st.sampled_from((8, 8, 6)))))


@st.composite
def overflowing_cases(draw: st.DrawFn) -> Case:
    """More positions than the context holds."""
    return with_bits(draw(overflowing()), 4)


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    """Calls that must be refused."""
    return with_bits(draw(unusable()), 4)


@st.composite
def zero_cases(draw: st.DrawFn) -> Case:
    """Positions of zeros and no biases, so that keys and values are zeros."""
    case = with_bits(draw(scripts(("normal",))), draw(st.sampled_from(BITS)))
    build = case.calls[0].with_arguments({**case.calls[0].arguments, "qkv_bias": None})
    calls = (
        call.with_arguments({"x": torch.zeros_like(call.arguments["x"])}) if i % 2 == 0 else call
        for i, call in enumerate(case.calls[1:])
    )
    return replace(case, calls=(build, *calls), family="positions of zeros")


def with_bits(case: Case, bits: int) -> Case:
    """The same script with a cache of this bit width."""
    build, *rest = case.calls
    return replace(case, calls=(build.with_arguments({**build.arguments, "bits": bits}), *rest))


def exact_heads(trial: Trial, case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q, k and v [batch, head, position, feature] of the whole sequence in float64."""
    a = case.cast(trial.dtype).cast(torch.float64).calls[0].arguments
    x = sequence(case.cast(trial.dtype)).double()
    qkv = x @ a["qkv_weight"].T + (0 if a["qkv_bias"] is None else a["qkv_bias"])
    q, k, v = qkv.unflatten(-1, (3, a["n_heads"], -1)).permute(2, 0, 3, 1, 4)
    return q, k, v


def allowed(trial: Trial, exact: torch.Tensor, bits: int) -> torch.Tensor:
    """The largest error of a stored number: half a step, plus 64 machine epsilons of the largest number.

    The step is that of 2^bits - 1 symmetric levels, so half of it is the largest absolute number of the vector divided
    by 2^bits - 2. Levels from the smallest number to the largest have a smaller step.
    """
    largest = exact.abs().amax(-1, keepdim=True)
    half_step: torch.Tensor = largest / (2**bits - 2)
    return (half_step + 64 * EPSILON[trial.dtype] * exact.abs().max()).expand(exact.shape)


def ratio_of(error: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
    """The errors in units of their bounds; 0 where there is no error."""
    ratio = torch.where(error == 0, torch.zeros_like(error), error / bound)
    return ratio.nan_to_num(float("inf"), float("inf"))


def check_contents(trial: Trial, case: Case) -> None:
    """contents() returns the exact keys and values, each within the allowed error."""
    found = trial.run(case.followed_by(CONTENTS)).value
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Violation(f"contents() must return (keys, values); it returns a {type(found).__name__}")
    _, k, v = exact_heads(trial, case)
    bits = case.calls[0].arguments["bits"]
    for name, exact, kept in (("key", k, found[0]), ("value", v, found[1])):
        if not torch.is_tensor(kept) or kept.shape != exact.shape:
            shape = list(kept.shape) if torch.is_tensor(kept) else type(kept).__name__
            expected = f"expected {list(exact.shape)}: batch, head, position, feature"
            raise Violation(f"the stored {name}s are {shape}; {expected}")
        ratio = ratio_of((kept.double() - exact).abs(), allowed(trial, exact, bits))
        if float(ratio.max()) > 1:
            at = [int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape)]
            where = f"{name}{at} is stored as {float(kept[tuple(at)]):.6g}, expected {float(exact[tuple(at)]):.6g}"
            message = f"a {name} stored in {bits} bits is off by more than half a step of its own vector"
            raise Violation(message, worst=where, error=float(ratio.max()))
        trial.note_error(float(ratio.max()))


def check_output(trial: Trial, case: Case) -> None:
    """The output differs from full attention by at most what the errors of keys and values explain.

    A logit changes by at most e = sum |q| |dk| / sqrt(K). So a weight changes by a factor within exp(-2 e) .. exp(2 e),
    and the mean of the values by at most (exp(2 e) - 1) times the mean of |v|, plus exp(2 e) times the mean of |dv|.
    The out projection multiplies that by |out_weight|.
    """
    expected, bound = _expected_output(trial, case)
    out = joined(case, trial.run(case).outputs).double()
    ratio = ratio_of((out - expected).abs(), bound)
    if float(ratio.max()) > 1:
        at = [int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape)]
        got, right, most = (float(tensor[tuple(at)]) for tensor in (out, expected, bound))
        raise Violation(
            f"the output error exceeds what keys and values in {case.calls[0].arguments['bits']} bits explain",
            worst=f"out{at} = {got:.6g}, expected {right:.6g} within {most:.3g}",
            error=float(ratio.max()),
        )
    trial.note_error(float(ratio.max()))


def _expected_output(trial: Trial, case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Full attention in float64, and the largest error of each of its numbers."""
    a = case.cast(trial.dtype).cast(torch.float64).calls[0].arguments
    q, k, v = exact_heads(trial, case)
    scale, time = 1 / math.sqrt(q.shape[-1]), q.shape[-2]
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    weights = (q @ k.mT * scale).masked_fill(future, float("-inf")).softmax(-1)
    error_k, error_v = (allowed(trial, t, a["bits"]) for t in (k, v))
    moved = (q.abs() @ error_k.mT * scale).masked_fill(future, 0.0).amax(-1, keepdim=True)
    slack = torch.expm1(2 * moved) * (weights @ v.abs()) + torch.exp(2 * moved) * (weights @ error_v)
    most = 2 * (v.abs() + error_v).amax(2, keepdim=True)  # for any weights, the mean lies among the values
    slack = torch.minimum(slack.nan_to_num(float("inf"), float("inf")), most)
    whole, error = ((t.transpose(1, 2).flatten(2)) for t in (weights @ v, slack))
    expected: torch.Tensor = whole @ a["out_weight"].T + (0 if a["out_bias"] is None else a["out_bias"])
    rounding = 64 * EPSILON[trial.dtype] * (expected.abs().max() + error.max())
    return expected, error @ a["out_weight"].abs().T + rounding


MEMORY_SIZES = {"batch": 1, "width": 256, "heads": 2, "time": 64}


@st.composite
def memory_cases(draw: st.DrawFn) -> Case:
    """Two heads of 128 features, 64 positions and one step."""
    m, seed = MEMORY_SIZES, draw(st.integers(0, 9))
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
    """The memory of 16-bit keys and values divided by what the cache adds to an empty one, by bit width."""
    m, series = MEMORY_SIZES, {}
    plain = 2.0 * m["batch"] * (m["time"] + 1) * m["width"] * 2
    for bits in (2, 3, 4, 8):
        case = with_bits(trial.case, bits)
        held = bytes_after(trial, case, 3, dtypes[0]) - bytes_after(trial, case, 1, dtypes[0])
        series[f"{bits} bits"] = plain / held
    text = (
        f"in 3 bits keys and values take {series['3 bits']:.3g} times less memory than in 16 bits "
        f"({series['4 bits']:.3g} in 4, {series['8 bits']:.3g} in 8)"
    )
    how = (
        "bytes of 16-bit keys and values over bytes of all tensors added since build(); "
        "two heads of 128 features, bfloat16"
    )
    return Measurement(text, how, series["3 bits"], "times less than in 16 bits", series)
