"""A whole model whose large matrices are quantized.

How they are quantized is open: any codes, scales per tensor, row or block, packed or not. ``weights()`` returns what
the model computes with: matrices must be close to what was given, the rest must be what was given, and the logits must
be those of exactly these weights. Activations are not quantized.
"""

from __future__ import annotations

import math

import torch

from harness.core.case import Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Answer
from harness.core.measurement import Measure
from harness.numerics.tolerance import tolerances
from reference_model.gpt2 import gpt2
from reference_model.quantize_model import quantize_model
from specs.naming.parameters import GPT2
from specs.shared.quantization import within
from specs.shared.quantize_model_cases import (
    FURTHEST,
    USUAL,
    asked,
    cases,
    chosen,
    float32_bytes,
    has_few_values,
    held_weights,
    invalid_cases,
    larger_cases,
    named,
    with_build,
)
from specs.shared.quantize_model_measures import error_by_depth, memory, sensitivity


@claim(
    "norms, embeddings, the head and biases stay unquantized",
    broken_by="norms_quantized_too",
    aliases=("the_rest_stays_as_it_was",),
)
def other_weights_stay_unquantized(trial: Trial, kinds: tuple[str, ...] = USUAL, case: Case | None = None) -> None:
    """Norms, embeddings and biases, number by number."""
    case = case or trial.case
    found, quantized = held_weights(trial, case), chosen(kinds)
    shifts = {"norm_1_bias", "norm_2_bias", "final_norm_bias"} if "norms" in kinds else set()
    for where, name, given in named(asked(case)["weights"]):
        if name in quantized or name in shifts:
            continue
        given, value = given.float(), found[where].float()
        wrong = (value - given).abs() > 1e-6 * given.abs()
        if bool(wrong.any()):
            at = int(wrong.reshape(-1).nonzero()[0])
            worst = f"{float(given.reshape(-1)[at]):.6g} became {float(value.reshape(-1)[at]):.6g}"
            raise Violation(f"{where} has changed; it must stay unquantized", worst=worst)


@claim(
    "every matrix of every layer is quantized, with an error within the bound of its bits",
    broken_by="last_layer_left_out",
    aliases=("matrices_are_close",),
)
def matrices_are_quantized_accurately(trial: Trial, kinds: tuple[str, ...] = USUAL, case: Case | None = None) -> None:
    """A tensor of normal numbers that comes back unchanged is not quantized."""
    case = case or trial.case
    found, bits = held_weights(trial, case), asked(case)["bits"]
    for where, name, given in named(asked(case)["weights"]):
        if name not in chosen(kinds):
            continue
        given = given.float().double()
        allowed = torch.full_like(given, 1.01 * FURTHEST[bits] * float(given.abs().max()) + 1e-30)
        what = f"the error of {where} exceeds what {bits} bits explain"
        trial.note_error(within(found[where], given, allowed, what))
        is_telling = given.numel() > 4 and not has_few_values(given)
        if is_telling and torch.equal(found[where].double(), given):
            raise Violation(f"{where} is unchanged: it is not quantized")


@claim(
    "the requested kinds are quantized, and no others",
    broken_by="kinds_ignored",
    max_cases=6,
    aliases=("what_is_asked_for_is_quantized",),
)
def only_requested_kinds_are_quantized(trial: Trial) -> None:
    """Other kinds of layers, alone and together. Quantized embeddings are the head too."""
    for kinds in (("mlp",), ("attention", "embeddings"), ("attention", "mlp", "norms", "embeddings")):
        case = with_build(trial.case, kinds=kinds)
        other_weights_stay_unquantized(trial, kinds, case)
        matrices_are_quantized_accurately(trial, kinds, case)
    logits_match_the_stored_weights(trial, case)


@claim(
    "the logits match those of the weights that weights() returns",
    broken_by="first_layer_for_all",
    aliases=("its_logits_are_those_of_its_weights",),
)
def logits_match_the_stored_weights(trial: Trial, case: Case | None = None) -> None:
    """The unquantized model with the weights from weights() gives the same logits, compared in float32."""
    case = case or trial.case
    answer = trial.run(case, dtype=torch.float32)
    held_weights(trial, case)
    given = {"ids": case.arguments["ids"], "weights": answer.outputs[1], "config": asked(case)["config"]}
    exact, bound = tolerances(lambda c: Answer((gpt2(**c.arguments),)), Case.of(given), torch.float32)
    what = "the logits, compared with those of the weights from weights(),"
    trial.close(answer.value, exact.value, 2 * bound.value, what)


@claim(
    "8 bits give at most half the weight error of 4 bits",
    broken_by="always_four_bits",
    max_cases=6,
    aliases=("more_bits_are_finer",),
)
def more_bits_reduce_the_error(trial: Trial) -> None:
    """Root mean square over all matrices."""
    lost = {}
    for bits in (8, 4):
        case = with_build(trial.case, bits=bits)
        found = held_weights(trial, case)
        pairs = [
            (found[where].double(), given.double())
            for where, name, given in named(asked(case)["weights"])
            if name in chosen(USUAL)
        ]
        lost[bits] = math.sqrt(sum(float((value - given).pow(2).sum()) for value, given in pairs))
    if lost[4] == 0:
        trial.not_applicable()
    ratio = lost[8] / lost[4]
    if not ratio <= 0.5:
        what = f"the weight error at 8 bits is {ratio:.2f} times that at 4 bits; allowed: 0.5"
        raise Violation(what, error=ratio / 0.5)
    trial.note_error(ratio / 0.5)


@claim(
    "3 bits are supported, though they do not divide a byte",
    broken_by="codes_across_bytes_not_read",
    max_cases=6,
    aliases=("three_bits_are_kept_too",),
)
def supports_three_bits(trial: Trial) -> None:
    """Codes of three bits straddle bytes, or bits are unused. Code without them is not checked further."""
    case = with_build(trial.case, bits=3)
    answer = trial.attempt(case, dtype=torch.float32)
    if answer.crash is not None:
        raise NotSupported(f"it does not support 3 bits ({answer.crash.error})")
    matrices_are_quantized_accurately(trial, USUAL, case)
    logits_match_the_stored_weights(trial, case)


@claim(
    "it stores codes only, not the original or dequantized matrices",
    broken_by="originals_kept",
    cases=larger_cases,
    max_cases=1,
)
def memory_is_saved(trial: Trial) -> None:
    """At most half of the float32 size of the matrices, and everything else once. To keep the original or dequantized
    matrices as well saves nothing."""
    held = trial.run(dtype=torch.float32, weigh=True).facts.get("bytes")
    if held is None:
        raise NotSupported("the memory it holds cannot be measured")
    kept, matrices = float32_bytes(asked(trial.case)["weights"])
    if not held <= 1.02 * kept + 0.5 * matrices:
        share = held / (kept + matrices)
        message = f"it holds {held:,.0f} bytes, {share:.0%} of the unquantized {kept + matrices:,.0f}"
        worst = f"expected at most {1.02 * kept + 0.5 * matrices:,.0f}"
        raise Violation(message, worst=worst, error=held / (kept + 0.5 * matrices))
    trial.note_error(held / (1.02 * kept + 0.5 * matrices))


CONTRACT = Contract(
    name="quantize_model",
    meaning="GPT-2 with quantized attention and feed-forward matrices; all other weights stay unquantized.",
    calls={
        "build": Signature(
            (
                Argument("weights", "weights", role="setting", fields=GPT2),
                Argument("config", "config", role="setting"),
                Argument("bits", "int", role="setting", optional=True, default=8),
                Argument("kinds", "list of kinds", role="setting", optional=True, default=USUAL),
            ),
            "the quantized model",
        ),
        "weights": Signature((), "weights"),
        "forward": Signature((Argument("ids", "int[batch, time]"),), "float[batch, time, vocab_size]"),
    },
    reference=quantize_model,
    cases=cases,
    invalid=invalid_cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    order=97,
    case_count=6,
    measures=(
        Measure(
            "memory",
            "bits per quantized number, and size of the whole model relative to float32",
            memory,
            cases=larger_cases,
        ),
        Measure("sensitivity", "logit error with one kind of layer quantized", sensitivity, cases=larger_cases),
        Measure(
            "error_by_depth", "logit error by number of layers", error_by_depth, cases=lambda: larger_cases(layers=8)
        ),
    ),
    sources=(
        "Dettmers et al. 2022 (LLM.int8()), section 2",
        "bitsandbytes nn/modules.py, torch.ao.quantization: nn.Linear alone, without lm_head",
    ),
    claims=(
        other_weights_stay_unquantized,
        matrices_are_quantized_accurately,
        only_requested_kinds_are_quantized,
        logits_match_the_stored_weights,
        more_bits_reduce_the_error,
        supports_three_bits,
        memory_is_saved,
    ),
)
