"""A whole model whose large matrices are quantized.

How they are is left open: any codes, scales per tensor, row or block, packed or not. What a model computes with is asked of it
(``weights()``): the rest must be what was given, matrices must be close to what was given, and its logits must be those of
exactly these weights. Activations are not quantized.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature
from harness.core.implementation import Answer
from harness.core.measurement import Measure, Measurement
from harness.core.values import Settings
from harness.numerics.tolerance import tolerances
from harness.strategies.tensors import seeds, token_ids
from reference_model.gpt2 import gpt2
from reference_model.quantize_model import quantize_model
from specs.naming.parameters import GPT2
from specs.shared.attention import block_weights, head_sizes, learned, silent_parts
from specs.shared.quantization import within

KINDS = {
    "attention": ("qkv_weight", "out_weight"),
    "mlp": ("up_weight", "down_weight"),
    "norms": ("norm_1_weight", "norm_2_weight", "final_norm_weight"),
    "embeddings": ("token_embedding", "position_embedding"),
}
"""What each kind must quantize. Whether it quantizes the shifts of the norms too is left open."""
USUAL = ("attention", "mlp")
FURTHEST = {8: 0.0070313, 4: 1 / 6, 3: 0.27}
"""How far off a number may come back, relative to the largest of its tensor: the widest of the code books in use (the dynamic
map of eight bits, FP4, a normal float of three bits), 1 % on top. Finer scales only make it less."""

WEIGHTS = Call("weights", {})


# cases ---------------------------------------------------------------------------------------------------------------


def script(
    weights: Mapping[str, Any], config: Settings, bits: int, ids: torch.Tensor, family: str, **more: Any
) -> Case:
    """build, weights, forward."""
    build = Call("build", {"weights": weights, "config": config, "bits": bits, **more})
    return Case((build, WEIGHTS, Call("forward", {"ids": ids})), {}, family)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """All sizes different, one layer or three with weights of their own; now and then some matrices are all zeros."""
    sizes = draw(
        head_sizes(most_time=4, most_batch=2, most_heads=2, four_fold=True, context=(6, 9), vocab_size=(6, 13))
    )
    layers, bits = draw(st.sampled_from((3, 1))), draw(st.sampled_from((8, 4)))
    weights, config = draw(models(sizes, layers, draw(silent_parts)))
    ids = draw(token_ids((sizes["batch"], sizes["time"]), sizes["vocab_size"]))
    return script(weights, config, bits, ids, f"{layers} layers, {bits} bits")


@st.composite
def models(
    draw: st.DrawFn, sizes: Mapping[str, int], layers: int, silent: tuple[str, ...]
) -> tuple[dict[str, Any], Settings]:
    width, seed = sizes["width"], draw(seeds)
    config = Settings(
        vocab_size=sizes["vocab_size"],
        context=sizes["context"],
        width=width,
        heads=sizes["heads"],
        layers=layers,
        norm_eps=1e-5,
    )
    weights = {
        "token_embedding": learned("normal", (config.vocab_size, width), seed, 1.0),
        "position_embedding": learned("normal", (config.context, width), seed + 1, 0.7),
        "blocks": [draw(block_weights(width, 4 * width, silent)) for _ in range(layers)],
        "final_norm_weight": learned("normal", (width,), seed + 2, 0.4, around=1.2),
        "final_norm_bias": learned("normal", (width,), seed + 3, 0.4) if draw(st.integers(0, 5)) else None,
    }
    return weights, config


@st.composite
def larger_cases(draw: st.DrawFn, layers: int = 2) -> Case:
    """Large enough for scales to be few beside codes: 64 wide, and two layers."""
    weights, config = draw(models({"vocab_size": 50, "context": 16, "width": 64, "heads": 4}, layers, ()))
    return script(weights, config, 8, draw(token_ids((2, 16), 50)), f"64 wide, {layers} layers")


@st.composite
def invalid_cases(draw: st.DrawFn) -> Case:
    case = draw(cases())
    build = case.calls[0].arguments
    family = draw(st.sampled_from(("an unknown kind", "0 bits", "an unknown kind", "-3 bits")))
    changed: dict[str, Any] = {"kinds": ("everything",)} if "kind" in family else {"bits": int(family.split()[0])}
    return Case((Call("build", {**build, **changed}),), {}, family)


# what came back ------------------------------------------------------------------------------------------------------


def asked(case: Case) -> dict[str, Any]:
    return dict(case.calls[0].arguments)


def with_build(case: Case, **arguments: Any) -> Case:
    build, *rest = case.calls
    return Case((Call("build", {**build.arguments, **arguments}), *rest), case.dimensions, case.family)


def named(weights: Mapping[str, Any]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """(where, name, tensor) of everything a model holds; what is None left out."""
    for name, value in weights.items():
        if torch.is_tensor(value):
            yield name, name, value
    for place, block in enumerate(weights["blocks"]):
        for name, value in block.items():
            if torch.is_tensor(value):
                yield f"blocks.{place}.{name}", name, value


def came_back(trial: Trial, case: Case | None = None, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """What the model says it computes with, by where it stands, checked against the form of what was given."""
    case = case or trial.case
    answer = trial.run(case, dtype=dtype)
    found = answer.outputs[1]
    if not isinstance(found, Mapping) or not isinstance(found.get("blocks"), (list, tuple)):
        raise Violation(
            f"weights() returns a {type(found).__name__}; it must return weights in the form that build() was given, blocks included"
        )
    tensors = {where: value for where, _, value in named(found)}
    for where, _, given in named(asked(case)["weights"]):
        value = tensors.get(where)
        if value is None or value.shape != given.shape or not value.is_floating_point():
            form = "missing" if value is None else f"{value.dtype} {list(value.shape)}"
            raise Violation(f"weights(): {where} is {form}; it must be a floating-point tensor {list(given.shape)}")
    return tensors


def chosen(kinds: tuple[str, ...]) -> set[str]:
    return {name for kind in kinds for name in KINDS[kind]}


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "norms, embeddings, the head and biases stay unquantized",
    broken_by="norms_quantized_too",
    aliases=("the_rest_stays_as_it_was",),
)
def other_weights_stay_unquantized(trial: Trial, kinds: tuple[str, ...] = USUAL, case: Case | None = None) -> None:
    """Norms, embeddings and biases, number by number."""
    case = case or trial.case
    found, quantized = came_back(trial, case), chosen(kinds)
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
    """Within the bound of their bits, and changed at all: a tensor of normal numbers that comes back as it was is not quantized."""
    case = case or trial.case
    found, bits, worst = came_back(trial, case), asked(case)["bits"], 0.0
    for where, name, given in named(asked(case)["weights"]):
        if name not in chosen(kinds):
            continue
        given = given.float().double()
        allowed = torch.full_like(given, 1.01 * FURTHEST[bits] * float(given.abs().max()) + 1e-30)
        what = f"the error of {where} exceeds what {bits} bits explain"
        worst = max(worst, within(found[where], given, allowed, what))
        telling = given.numel() > 4 and not is_on_few_steps(given)
        if telling and torch.equal(found[where].double(), given):
            raise Violation(f"{where} is unchanged: it is not quantized")
    trial.note_error(worst)


def is_on_few_steps(values: torch.Tensor) -> bool:
    """Small integers, scaled, may well lie on codes, whatever these are: a dozen different numbers."""
    return values.abs().unique().numel() <= 12


@claim(
    "the requested kinds are quantized, and no others",
    broken_by="kinds_ignored",
    max_cases=6,
    aliases=("what_is_asked_for_is_quantized",),
)
def only_requested_kinds_are_quantized(trial: Trial) -> None:
    """Other kinds of layers, alone and together; what is not asked for stays. Quantized embeddings are the head too."""
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
    """The unquantized model with what weights() says gives the same logits; in float32, as it may compute inside."""
    case = case or trial.case
    answer = trial.run(case, dtype=torch.float32)
    came_back(trial, case)
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
    """Over all matrices, eight bits are off by half of what four are at the most."""
    lost = {}
    for bits in (8, 4):
        case = with_build(trial.case, bits=bits)
        found = came_back(trial, case)
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
        raise Violation(
            f"the weight error at 8 bits is {ratio:.2f} times that at 4 bits; allowed: 0.5", error=ratio / 0.5
        )
    trial.note_error(ratio / 0.5)


@claim(
    "3 bits are supported, though they do not divide a byte",
    broken_by="codes_across_bytes_not_read",
    max_cases=6,
    aliases=("three_bits_are_kept_too",),
)
def supports_three_bits(trial: Trial) -> None:
    """Three bits fit no byte: codes straddle them, or bits are given away. Code without them is not asked further."""
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
    """At most half of what the matrices take in float32, and everything else once. Whoever keeps the weights that were given,
    or what they were taken back to, saves nothing."""
    held = trial.run(dtype=torch.float32, weigh=True).facts.get("bytes")
    if held is None:
        raise NotSupported("the memory it holds cannot be measured")
    kept, matrices = float32_bytes(asked(trial.case)["weights"])
    if not held <= 1.02 * kept + 0.5 * matrices:
        share = held / (kept + matrices)
        message = f"it holds {held:,.0f} bytes, {share:.0%} of the unquantized {kept + matrices:,.0f}"
        raise Violation(
            message, worst=f"expected at most {1.02 * kept + 0.5 * matrices:,.0f}", error=held / (kept + 0.5 * matrices)
        )
    trial.note_error(held / (1.02 * kept + 0.5 * matrices))


def float32_bytes(weights: Mapping[str, Any], kinds: tuple[str, ...] = USUAL) -> tuple[float, float]:
    """Bytes in float32 of what stays, and of what is quantized."""
    sizes = [(name in chosen(kinds), 4.0 * value.numel()) for _, name, value in named(weights)]
    return sum(size for is_chosen, size in sizes if not is_chosen), sum(size for is_chosen, size in sizes if is_chosen)


# facts ---------------------------------------------------------------------------------------------------------------


def lost_in_the_logits(trial: Trial, case: Case) -> float:
    """Root of the mean square of what quantization changes in the logits, relative to their spread around their mean."""
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
        sentence=f"At {least} bits a quantized number takes {each[f'{least} bits']:.2f} bits, the whole model {shares[least]:.0%} of float32.",
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
        errors[kind] = lost_in_the_logits(trial, case)
        saved[kind] = float32_bytes(asked(case)["weights"], (kind,))[1] / (kept + matrices)
    dearest = max(KINDS, key=lambda kind: errors[kind] / saved[kind])
    rows = ", ".join(f"{kind} {errors[kind]:.1%} for {saved[kind]:.1%} of the memory" for kind in KINDS)
    return Measurement(
        sentence=f"Logit error with one kind of layer in 4 bits: {rows}. Relative to the memory saved, {dearest} cost most.",
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
        errors[f"{layers} layers"] = lost_in_the_logits(
            trial, with_build(trial.case, weights=deeper, config=settings, bits=4)
        )
    growth = math.log(errors["8 layers"] / errors["1 layers"]) / math.log(8)
    return Measurement(
        sentence=f"At 4 bits the logit error grows from {errors['1 layers']:.1%} with one layer to {errors['8 layers']:.1%} "
        f"with eight: as layers^{growth:.2f}.",
        how="the first 1, 2, 4 and 8 blocks of one model of width 64; error over the standard deviation of the logits",
        value=growth,
        unit="exponent of depth",
        series=errors,
    )


CONTRACT = Contract(
    name="quantize_model",
    meaning="GPT-2 with quantized attention and feed-forward matrices; all other weights stay unquantized.",
    calls={
        "build": Signature(
            (
                Argument("weights", "weights", role="setting", fields=GPT2),
                Argument("config", "config", role="setting"),
                Argument("bits", "integer", role="setting", optional=True, default=8),
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
        Measure(
            "sensitivity",
            "logit error with one kind of layer quantized",
            sensitivity,
            cases=larger_cases,
        ),
        Measure(
            "error_by_depth",
            "logit error by number of layers",
            error_by_depth,
            cases=lambda: larger_cases(layers=8),
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
