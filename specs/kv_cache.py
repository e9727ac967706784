"""A cache of keys and values."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Crashed, NotSupported, Trial, Violation, claim
from harness.core.contract import Contract, Variant
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.numerics.bounds import joined_bound
from harness.strategies.tensors import make
from reference_model.kv_cache import kv_cache
from specs.shared.attention import learned
from specs.shared.caches import (
    CALLS,
    OPTIONAL_METHODS,
    another,
    bound,
    bytes_after,
    instances_are_independent,
    joined,
    length_counts_positions,
    overflowing,
    recut,
    reset_clears_the_cache,
    scripts,
    sequence,
    unusable,
)
from specs.shared.model_caches import WHOLE
from specs.shared.quorums import SEVERAL_HEADS
from specs.workloads import models as workloads

SLIDING = "sliding"
HIDDEN = "hidden = everywhere.triu(diagonal=start + 1)"
WINDOW = "hidden = everywhere.triu(diagonal=start + 1) | everywhere.tril(diagonal=start - self.context)"


@claim(
    "the output does not depend on how the sequence is split",
    broken_by="mask_ignores_cache_offset",
    aliases=("any_split_gives_the_whole",),
)
def consistent_across_splits(trial: Trial) -> None:
    """Compared with the sequence in one chunk, and with one position at a time."""
    time = sequence(trial.case).shape[1]
    if time < 2:
        trial.not_applicable()
    out = joined(trial.case, trial.run().outputs)
    for lengths, what in (((time,), "in one chunk"), ((1,) * time, "one position after the other")):
        other = recut(trial.case, lengths)
        whole = joined(other, trial.run(other).outputs)
        trial.close(out, whole, bound(trial, trial.case, other), f"compared with the same sequence {what}, out")


@claim("within a chunk no position sees a later one", broken_by="no_mask_after_first_chunk")
def chunks_are_causal(trial: Trial) -> None:
    """Changing the last position of the last chunk does not change the outputs before it.

    A script that ends in a step is split in another way: one position, then all others in one chunk.
    """
    case, time = trial.case, sequence(trial.case).shape[1]
    if case.calls[-1].method != "extend":
        if time < 3:
            trial.not_applicable()
        case = recut(case, (1, time - 1))
    x = case.calls[-1].arguments["x"].clone()
    last = x[:, -1]
    x[:, -1] = (
        10 * torch.randn(last.shape, generator=trial.random(), dtype=torch.float64)
        if x.is_floating_point()
        else another(last)
    )
    other = case.changed(x=x)
    before, after = (joined(one, trial.run(one).outputs)[:, :-1] for one in (case, other))
    what = "with the last position of the last chunk changed, out before it"
    trial.close(after, before, bound(trial, case, other), what)


@claim(
    "a row alone gives the same output as in its batch",
    broken_by="first_row_for_all",
    max_cases=14,
    aliases=("rows_are_independent",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    """The first and the last row."""
    batch = sequence(trial.case).shape[0]
    if batch < 2:
        trial.not_applicable()
    whole = joined(trial.case, trial.run().outputs)
    for row in (0, batch - 1):
        calls = (
            call if call.method == "build" else call.with_arguments({"x": call.arguments["x"][row : row + 1].clone()})
            for call in trial.case.calls
        )
        alone = replace(trial.case, calls=tuple(calls))
        out = joined(alone, trial.run(alone).outputs)
        slack = bound(trial, trial.case, alone)
        trial.close(out, whole[row : row + 1], slack, f"row {row} alone, out")


@claim(
    "in float32 it is as accurate as the reference",
    broken_by="cached_in_bfloat16",
    max_cases=18,
    aliases=("rounds_like_full_attention",),
)
def accurate_in_float32(trial: Trial) -> None:
    exact, tolerance = trial.agreement(dtype=torch.float32)
    out = trial.run(dtype=torch.float32).outputs
    trial.close(out, exact.outputs, tolerance.outputs, "out")


@claim(
    "in bfloat16 and float16 steps work wherever prefill does, with at most 4 times the reference's error",
    broken_by="cached_in_the_default_dtype",
    max_cases=14,
    aliases=("holds_up_in_half_precision",),
)
def accurate_in_half_precision(trial: Trial) -> None:
    """Steps also return the dtype that prefill returns. A cache in another dtype than x fails at the first step."""
    refused, time = list[str](), sequence(trial.case).shape[1]
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        try:
            first = trial.attempt(recut(trial.case, (time,)), dtype=dtype)
        except NotSupported as error:  # numpy has no bfloat16
            refused.append(f"{name} ({error})")
            continue
        if first.crash is not None:
            refused.append(f"{name} ({first.crash.error})")
            continue
        answer = trial.attempt(dtype=dtype)
        if answer.crash is not None:
            raise Crashed(answer)
        out = joined(trial.case, answer.outputs)
        if out.dtype != first.value.dtype:
            kinds = [str(value.dtype).removeprefix("torch.") for value in (first.value, out)]
            raise Violation(f"in {name}, prefill returns {kinds[0]} but steps return {kinds[1]}")
        exact, tolerance = trial.agreement(dtype=dtype)
        chunks = [pair for pair in zip(tolerance.outputs, exact.outputs, strict=True) if pair[0] is not None]
        slack = joined_bound([bound for bound, _ in chunks], [chunk for _, chunk in chunks], 1)
        trial.close(out, joined(trial.case, exact.outputs), slack, f"out in {name}")
    if len(refused) == 2:
        raise NotSupported("it does not run in " + " or ".join(refused))


@claim(
    "positions beyond the context are refused, or the window slides where declared",
    broken_by="context_limit_not_enforced",
    cases=overflowing,
    max_cases=14,
    aliases=("overflow_is_refused_or_slid",),
)
def overflow_is_refused_or_slides(trial: Trial) -> None:
    """Where the sliding window is declared, it may still refuse a chunk of several positions that does not fit."""
    answer = trial.attempt()
    if not trial.has_form(SLIDING):
        if answer.crash is None:
            raise Violation(f"it accepts {trial.case.family} without an error; it must raise one, or slide")
        if answer.crash.call <= trial.case.dimensions["fitting"]:
            raise Crashed(answer)
        return
    if answer.crash is not None and trial.case.calls[-1].method == "extend":
        raise NotSupported(f"it refuses a chunk that does not fit ({answer.crash.error})")
    exact, _ = trial.agreement()
    out = joined(trial.case, trial.run().outputs)
    trial.close(out, joined(trial.case, exact.outputs), bound(trial, trial.case), f"with {trial.case.family}, out")


MEMORY_SIZES = {"batch": 2, "width": 24, "heads": 3, "time": 20, "context": 64}


@st.composite
def memory_cases(draw: st.DrawFn) -> Case:
    """A prefill of 20 positions and three steps, in a context of 64."""
    m, seed = MEMORY_SIZES, draw(st.integers(0, 9))
    weights = {
        "qkv_weight": learned("normal", (3 * m["width"], m["width"]), seed, 0.3),
        "qkv_bias": None,
        "out_weight": learned("normal", (m["width"], m["width"]), seed + 1, 0.3),
        "out_bias": None,
    }
    x = make("normal", (m["batch"], m["time"] + 3, m["width"]), seed + 2)
    build = Call("build", {**weights, "n_heads": m["heads"], "context": m["context"]})
    steps = (Call("step", {"x": x[:, at : at + 1].clone()}) for at in range(m["time"], m["time"] + 3))
    return Case((build, Call("prefill", {"x": x[:, : m["time"]].clone()}), *steps), dict(m), "normal")


def memory(trial: Trial) -> Measurement:
    """The bytes that the cache adds to an empty one, compared with those of the keys and values."""
    m, size = MEMORY_SIZES, torch.finfo(trial.dtype).bits // 8
    empty = bytes_after(trial, trial.case, 1, trial.dtype)
    series = {}
    for calls, positions in ((2, m["time"]), (len(trial.case.calls), m["time"] + 3)):
        series[f"after {positions} positions"] = bytes_after(trial, trial.case, calls, trial.dtype) - empty
    computed = {
        name: float(2 * m["batch"] * m["width"] * size * n)
        for name, n in (("after 20 positions", 20), ("after 23 positions", 23), ("whole context", m["context"]))
    }
    held = series["after 23 positions"]
    grows = series["after 20 positions"] < held
    per_position = held / (m["time"] + 3 if grows else m["context"]) / m["batch"]
    right = computed["after 23 positions"] if grows or held == 0 else computed["whole context"]
    how = "grows with the sequence" if grows else "is allocated for the whole context from the start"
    ratio = held / right
    share = "exactly" if ratio == 1 else f"{ratio:.3g} times"
    text = f"its memory {how}: {held:,.0f} bytes, {share} the {right:,.0f} that keys and values need"
    measured = (
        "bytes of all tensors it can reach, minus those after build(); "
        "keys and values need 2 x batch x positions x width numbers"
    )
    return Measurement(text, measured, per_position, "bytes per position per sequence", series)


CONTRACT = Contract(
    name="kv_cache",
    meaning="Incremental attention with a cache of earlier keys and values. "
    "extend (several positions later on), length and reset are optional.",
    calls=CALLS,
    optional_methods=OPTIONAL_METHODS,
    reference=kv_cache,
    cases=scripts,
    invalid=unusable,
    differentiable=False,
    whole=WHOLE,
    order=72,
    case_count=18,
    variants=(
        Variant(
            SLIDING,
            "Where the context is full the oldest positions are forgotten: each position sees the last `context` "
            "positions, itself included. By default what does not fit is refused.",
            (Edit(kv_cache.extend, "if stop > self.context:", "if False:"), Edit(kv_cache.extend, HIDDEN, WINDOW)),
        ),
    ),
    sources=("Shazeer 2019, section 2.2", "Pope et al. 2022, section 3.3", "openai/gpt-2 src/model.py past"),
    measures=(
        Measure(
            "memory", "memory of the cache, compared with 2 x batch x positions x width numbers", memory, memory_cases
        ),
    ),
    workloads=workloads.STEPS,
    quorum=(SEVERAL_HEADS,),
    claims=(
        consistent_across_splits,
        chunks_are_causal,
        replace(instances_are_independent, broken_by="cache_shared_by_all_instances", max_cases=12),
        rows_of_a_batch_are_independent,
        overflow_is_refused_or_slides,
        replace(length_counts_positions, broken_by="length_counts_calls", max_cases=10),
        replace(reset_clears_the_cache, broken_by="reset_keeps_the_keys", max_cases=10),
        accurate_in_float32,
        accurate_in_half_precision,
    ),
)
