"""A cache of keys and values."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Claim, Crashed, NotSupported, Trial, Violation, claim
from harness.core.contract import Contract, Variant
from harness.core.measurement import Measure, Measurement
from harness.core.mistake import Edit
from harness.strategies.tensors import make
from reference_model.kv_cache import kv_cache
from specs.shared.attention import learned
from specs.shared.caches import (
    CALLS,
    OPTIONAL_METHODS,
    accurate_in_half_precision,
    any_split_gives_the_whole,
    bound,
    bytes_after,
    chunks_are_causal,
    joined,
    length_is_what_was_given,
    overflowing,
    reset_forgets,
    rounds_like_full_attention,
    rows_are_independent,
    scripts,
    two_in_flight_do_not_mix,
    unusable,
)
from specs.workloads import models as workloads

SLIDING = "sliding"
HIDDEN = "hidden = everywhere.triu(diagonal=start + 1)"
WINDOW = "hidden = everywhere.triu(diagonal=start + 1) | everywhere.tril(diagonal=start - self.context)"


@claim(
    "positions beyond the context are refused, or the window slides where declared",
    broken_by="context_limit_not_enforced",
    cases=overflowing,
    max_cases=14,
    aliases=("overflow_is_refused_or_slid",),
)
def overflow_is_refused_or_slides(trial: Trial) -> None:
    """One position too many raises; where it is declared to slide, the oldest are forgotten.

    A piece of several positions that does not fit may be refused where steps slide.
    """
    if trial.variant != SLIDING:
        answer = trial.attempt()
        if answer.crash is None:
            raise Violation(f"it accepts {trial.case.family} without an error; it must raise one, or slide")
        if answer.crash.call <= trial.case.dimensions["fitting"]:
            raise Crashed(answer)
        return
    answer = trial.attempt()
    if answer.crash is not None and trial.case.calls[-1].method == "extend":
        raise NotSupported(f"it refuses a chunk that does not fit ({answer.crash.error})")
    exact, _ = trial.agreement()
    out = joined(trial.case, trial.run().outputs)
    trial.close(out, joined(trial.case, exact.outputs), bound(trial, trial.case), f"with {trial.case.family}, out")


MEASURED = {"batch": 2, "width": 24, "heads": 3, "time": 20, "context": 64}


@st.composite
def memory_cases(draw: st.DrawFn) -> Case:
    """A prefill of 20 positions and three steps, in a context of 64."""
    m, seed = MEASURED, draw(st.integers(0, 9))
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
    """Bytes held beyond those of the empty cache, against 2 x batch x positions x width numbers."""
    m, size = MEASURED, torch.finfo(trial.dtype).bits // 8
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
    told = f"its memory {how}: {held:g} bytes, {ratio:.3g} times the {right:g} that keys and values need"
    return Measurement(
        told,
        "bytes of all tensors it can reach, minus those after build(); keys and values need 2 x batch x positions x width numbers",
        per_position,
        "bytes per position per sequence",
        series,
    )


CONTRACT = Contract(
    name="kv_cache",
    meaning="Incremental attention with a cache of earlier keys and values. extend (several positions later on), length and reset are optional.",
    calls=CALLS,
    optional_methods=OPTIONAL_METHODS,
    reference=kv_cache,
    cases=scripts,
    invalid=unusable,
    differentiable=False,
    order=72,
    case_count=18,
    variants=(
        Variant(
            SLIDING,
            "Where the context is full the oldest positions are forgotten: each position sees the last `context`, itself "
            "included. By default what does not fit is refused.",
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
    claims=(
        Claim(
            "consistent_across_splits",
            "the output does not depend on how the sequence is split",
            any_split_gives_the_whole,
            broken_by="mask_ignores_cache_offset",
            aliases=("any_split_gives_the_whole",),
        ),
        Claim(
            "chunks_are_causal",
            "within a chunk no position sees a later one",
            chunks_are_causal,
            broken_by="no_mask_after_first_chunk",
        ),
        Claim(
            "instances_are_independent",
            "two caches in use at the same time do not affect each other",
            two_in_flight_do_not_mix,
            broken_by="cache_shared_by_all_instances",
            max_cases=12,
            aliases=("two_in_flight_do_not_mix",),
        ),
        Claim(
            "rows_of_a_batch_are_independent",
            "a row alone gives the same output as in its batch",
            rows_are_independent,
            broken_by="first_row_for_all",
            max_cases=14,
            aliases=("rows_are_independent",),
        ),
        overflow_is_refused_or_slides,
        Claim(
            "length_counts_positions",
            "length() returns the number of positions fed so far",
            length_is_what_was_given,
            broken_by="length_counts_calls",
            max_cases=10,
            aliases=("length_is_what_was_given",),
        ),
        Claim(
            "reset_clears_the_cache",
            "after reset() the cache behaves as if newly built",
            reset_forgets,
            broken_by="reset_keeps_the_keys",
            max_cases=10,
            aliases=("reset_forgets",),
        ),
        Claim(
            "accurate_in_float32",
            "in float32 it is as accurate as the reference",
            rounds_like_full_attention,
            broken_by="cached_in_bfloat16",
            max_cases=18,
            aliases=("rounds_like_full_attention",),
        ),
        Claim(
            "accurate_in_half_precision",
            "in bfloat16 and float16 steps work wherever prefill does, with at most 4 times the reference's error",
            accurate_in_half_precision,
            broken_by="cached_in_the_default_dtype",
            max_cases=14,
            aliases=("holds_up_in_half_precision",),
        ),
    ),
)
