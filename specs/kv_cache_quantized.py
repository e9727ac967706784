"""A cache of keys and values that are quantized to a few bits."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.claim import Crashed, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.measurement import Measure
from reference_model.kv_cache_quantized import kv_cache_quantized
from specs.shared.caches import (
    CALLS,
    CHUNK_METHODS,
    OPTIONAL_METHODS,
    instances_are_independent,
    length_counts_positions,
    recut,
    reset_clears_the_cache,
    sequence,
)
from specs.shared.quantized_caches import (
    CONTENTS,
    allowed,
    cases,
    check_contents,
    check_output,
    exact_heads,
    fine_cases,
    invalid_cases,
    memory,
    memory_cases,
    overflowing_cases,
    ratio_of,
    zero_cases,
)
from specs.shared.quorums import SEVERAL_HEADS


@claim(
    "every key and value is stored to within half a step of its own vector",
    broken_by="rounded_down",
    aliases=("kept_within_the_bound",),
)
def error_within_half_a_step(trial: Trial) -> None:
    """By contents()."""
    check_contents(trial, trial.case)


@claim(
    "the output error is within what the bit width explains, however the sequence is split",
    broken_by="unscaled",
    cases=fine_cases,
    max_cases=14,
    aliases=("attends_within_the_bound",),
)
def output_error_within_the_bound(trial: Trial) -> None:
    """The sequence as it is split, in one chunk, and one position at a time."""
    time = sequence(trial.case).shape[1]
    for case in (trial.case, recut(trial.case, (time,)), recut(trial.case, (1,) * time)):
        check_output(trial, case)


@claim(
    "a row of large numbers does not affect the other rows of the batch",
    broken_by="range_shared_by_the_batch",
    max_cases=12,
    aliases=("rows_are_independent",),
)
def rows_of_a_batch_are_independent(trial: Trial) -> None:
    """With one row a thousand times as large, the keys and values of the others stay within their bounds."""
    if sequence(trial.case).shape[0] < 2:
        trial.not_applicable()
    calls = list(trial.case.calls[:1])
    for call in trial.case.calls[1:]:
        x = call.arguments["x"].clone()
        x[-1] *= 1000
        calls.append(call.with_arguments({"x": x}))
    beside = replace(trial.case, calls=tuple(calls))
    found, (_, k, v) = trial.run(beside.followed_by(CONTENTS)).value, exact_heads(trial, beside)
    bits = beside.calls[0].arguments["bits"]
    for name, exact, kept in (("keys", k, found[0]), ("values", v, found[1])):
        bound = allowed(trial, exact[:-1], bits)
        ratio = float(ratio_of((kept[:-1].double() - exact[:-1]).abs(), bound).max())
        if ratio > 1:
            raise Violation(f"a row of large numbers degrades the {name} of other rows", error=ratio)
        trial.note_error(ratio)


@claim(
    "vectors of zeros are stored as zeros",
    broken_by="scale_without_guard",
    cases=zero_cases,
    max_cases=8,
    aliases=("nothing_stays_nothing",),
)
def zero_vectors_stay_zero(trial: Trial) -> None:
    """A vector of zeros has a range of zero; no output is NaN."""
    answer = trial.run(trial.case.followed_by(CONTENTS))
    for call, output in zip(trial.case.calls, answer.outputs, strict=False):
        if call.method in CHUNK_METHODS and not bool(torch.isfinite(output).all()):
            raise Violation(f"{call.method}() of positions of zeros is not finite")
    check_contents(trial, trial.case)


@claim(
    "positions beyond the context are refused",
    broken_by="context_limit_not_enforced",
    cases=overflowing_cases,
    max_cases=8,
    aliases=("what_does_not_fit_is_refused",),
)
def overflow_is_refused(trial: Trial) -> None:
    answer = trial.attempt()
    if answer.crash is None:
        raise Violation(f"it accepts {trial.case.family} without an error; it must raise one")
    if answer.crash.call <= trial.case.dimensions["fitting"]:
        raise Crashed(answer)


BUILD = CALLS["build"]

CONTRACT = Contract(
    name="kv_cache_quantized",
    meaning="Key-value cache in a few bits, with separate quantization levels for each vector of a head. "
    "extend, length and reset are optional.",
    calls={
        **CALLS,
        "build": Signature((*BUILD.arguments, Argument("bits", "int", role="setting")), BUILD.result),
        "contents": Signature((), "(keys: float[batch, heads, positions, size], values: the same)"),
    },
    optional_methods=OPTIONAL_METHODS,
    reference=kv_cache_quantized,
    cases=cases,
    invalid=invalid_cases,
    differentiable=False,
    agrees=False,
    order=93,
    case_count=16,
    sources=("Liu et al. 2024 (KIVI), section 3", "Sheng et al. 2023 (FlexGen), section 5"),
    measures=(Measure("memory", "memory saved compared with 16 bits, per bit width", memory, memory_cases),),
    quorum=(SEVERAL_HEADS,),
    claims=(
        error_within_half_a_step,
        output_error_within_the_bound,
        rows_of_a_batch_are_independent,
        zero_vectors_stay_zero,
        replace(instances_are_independent, broken_by="cache_shared_by_all_instances", max_cases=8),
        overflow_is_refused,
        replace(length_counts_positions, broken_by="length_of_the_last_chunk", max_cases=8),
        replace(reset_clears_the_cache, broken_by="reset_keeps_the_keys", max_cases=8),
    ),
)
