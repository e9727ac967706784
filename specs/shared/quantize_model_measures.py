"""What quantizing the weights of a model costs and saves."""

from __future__ import annotations

import math

import torch

from harness.core.case import Case
from harness.core.claim import Trial
from harness.core.measurement import Measurement
from harness.core.values import Settings
from reference_model.gpt2 import gpt2
from specs.shared.quantize_model_cases import (
    KINDS,
    asked,
    float32_bytes,
    with_build,
)


def logit_error(trial: Trial, case: Case) -> float:
    """Root mean square error of the logits, over their standard deviation."""
    exact = gpt2(case.arguments["ids"], asked(case)["weights"], asked(case)["config"])
    out = trial.run(case, dtype=torch.float32).value.double()
    return float((out - exact).pow(2).mean().sqrt() / exact.std())


def memory(trial: Trial) -> Measurement:
    """Bits per quantized number, scales included, and the share of the whole model."""
    each, shares = {}, {}
    for bits in (8, 4, 3, 2):
        case = with_build(trial.case, bits=bits)
        answer = trial.attempt(case, dtype=torch.float32, weigh=True)
        if answer.crash is None and "bytes" in answer.facts:
            kept, matrices = float32_bytes(asked(case)["weights"])
            each[f"{bits} bits"] = 8 * (answer.facts["bytes"] - kept) / (matrices / 4)
            shares[bits] = answer.facts["bytes"] / (kept + matrices)
    least = min(shares)
    return Measurement(
        sentence=f"At {least} bits a quantized number takes {each[f'{least} bits']:.2f} bits, "
        f"the whole model {shares[least]:.0%} of float32.",
        how="total memory of a quantized model (width 64, 2 layers, vocabulary 50), minus what stays unquantized",
        value=shares.get(8),
        unit="of float32, at 8 bits",
        series=each,
    )


def sensitivity(trial: Trial) -> Measurement:
    """The error of the logits when each kind of layer alone is quantized, at 4 bits; and what that saves."""
    errors, saved = {}, {}
    kept, matrices = float32_bytes(asked(trial.case)["weights"])
    for kind in KINDS:
        case = with_build(trial.case, bits=4, kinds=(kind,))
        errors[kind] = logit_error(trial, case)
        saved[kind] = float32_bytes(asked(case)["weights"], (kind,))[1] / (kept + matrices)
    dearest = max(KINDS, key=lambda kind: errors[kind] / saved[kind])
    rows = ", ".join(f"{kind} {errors[kind]:.1%} for {saved[kind]:.1%} of the memory" for kind in KINDS)
    return Measurement(
        sentence=f"Logit error with one kind of layer in 4 bits: {rows}. "
        f"Relative to the memory saved, {dearest} cost most.",
        how="width 64, 2 layers, vocabulary 50, gains around 1.3 and 0.8 with standard deviation 0.4; "
        "error over the standard deviation of the logits",
        value=errors["norms"] / saved["norms"] / (errors["mlp"] / saved["mlp"]),
        unit="error per share of memory, norms over mlp",
        series=errors,
    )


def error_by_depth(trial: Trial) -> Measurement:
    """The error of the logits at 4 bits for models of one to eight layers."""
    errors = {}
    weights, config = asked(trial.case)["weights"], asked(trial.case)["config"]
    for layers in (1, 2, 4, 8):
        deeper = {**weights, "blocks": weights["blocks"][:layers]}
        settings = Settings(**{**config.as_dict(), "layers": layers})
        errors[f"{layers} layers"] = logit_error(trial, with_build(trial.case, weights=deeper, config=settings, bits=4))
    growth = math.log(errors["8 layers"] / errors["1 layers"]) / math.log(8)
    return Measurement(
        sentence=f"At 4 bits the logit error grows from {errors['1 layers']:.1%} with one layer to "
        f"{errors['8 layers']:.1%} with eight: as layers^{growth:.2f}. Errors that compound, as is often said, would "
        "grow faster than the number of layers; independent ones grow as its root.",
        how="the first 1, 2, 4 and 8 blocks of one model of width 64; error over the standard deviation of the logits",
        value=growth,
        unit="exponent of depth",
        series=errors,
    )
