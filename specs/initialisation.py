"""The initial weights: exact tests of their distribution."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant, WholeModel
from harness.core.tree import dotted, leaves
from harness.core.values import Settings
from harness.strategies.tensors import seeds
from reference_model.initialisation import initialisation
from specs.shared.initial_weights import (
    STD,
    Weights,
    config_of,
    declared_default,
    in_all_layers,
    initial_weights,
    law_of,
    loss_is_near_chance,
    matrices_of,
    spread_of,
    sums_of,
    twice,
)
from specs.shared.untrained_llama import NAMES, on_a_model
from specs.shared.untrained_models import FUNCTIONS, untrained

CONFIG = (
    *(Argument(name, "int", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers")),
    Argument("norm_eps", "float", role="setting", optional=True, default=1e-5),
)
CASES = 4


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small models of two to four layers, in which every kind of matrix has thousands of entries."""
    config = Settings(
        vocab_size=draw(st.sampled_from((83, 97))),
        context=40,
        width=32,
        heads=4,
        layers=draw(st.sampled_from((2, 3, 4))),
    )
    calls = (Call("build", {"config": config, "seed": draw(seeds)}), Call("weights", {}))
    return Case(calls, config.as_dict(), f"{config.layers} layers")


ALL_ALIKE = "all_alike"
IF_ALIKE = ", unless this is intended (GPT-NeoX, OPT): then declare --impl-variant=residual_scale=all_alike"


# claims --------------------------------------------------------------------------------------------------------------


@claim(
    "weight matrices and the token embedding are drawn from a normal distribution with standard deviation 0.02",
    broken_by="std_ten_times_too_large",
    false_alarm=1e-10,
    power=0.999,
)
def matrices_are_normal(trial: Trial) -> None:
    declared_default(trial)
    config = config_of(trial)

    def test(weights: Weights) -> tuple[float, str]:
        named = {"token_embedding": weights["token_embedding"].double()}
        named |= {f"{n} of the blocks": in_all_layers(weights, n) for n in ("qkv_weight", "up_weight")}
        return max(spread_of(config, values, STD, name, "0.02") for name, values in named.items())

    twice(trial, test)


@claim(
    "projections into the residual stream have standard deviation 0.02 / sqrt(2 L)",
    broken_by="residual_projections_not_scaled",
    false_alarm=1e-10,
    power=0.999,
)
def residual_projections_are_scaled(trial: Trial) -> None:
    declared_default(trial)
    config = config_of(trial)
    is_plain = trial.has_form(ALL_ALIKE)
    std = STD if is_plain else STD / math.sqrt(2 * config.layers)
    law = "0.02" if is_plain else f"0.02 / sqrt(2 L) with {config.layers} layers"

    def test(weights: Weights, std: float = std, law: str = law) -> tuple[float, str]:
        names = ("out_weight", "down_weight")
        return max(spread_of(config, in_all_layers(weights, n), std, f"{n} of the blocks", law) for n in names)

    try:
        twice(trial, test)
    except Violation as violation:
        if is_plain or test(initial_weights(trial), STD, "0.02")[0] > 1:
            raise
        raise Violation(f"{violation}{IF_ALIKE}", error=violation.error, form=ALL_ALIKE) from None


@claim("position embeddings are small and random, and no two are equal", broken_by="position_embedding_zero")
def positions_are_small_and_random(trial: Trial) -> None:
    """A standard deviation between 0.004 and 0.05: OpenAI's code has 0.01, many others have 0.02."""
    declared_default(trial)
    table = initial_weights(trial)["position_embedding"]
    if not table.numel():
        trial.not_applicable()
    positions = table.double()
    found = float(positions.pow(2).mean().sqrt())
    if not found:
        raise Violation("position_embedding is all zeros: it must be small and random")
    if not 0.004 < found < 0.05:
        law, right = law_of(config_of(trial), positions), "0.01, or 0.02 like the other matrices"
        raise Violation(f"position_embedding has a standard deviation of {law}; expected {right}")
    if len(set(map(tuple, positions.tolist()))) < len(positions):
        raise Violation("two rows of position_embedding are equal: each must be drawn independently")


@claim(
    "the entries of a matrix are drawn independently",
    broken_by="rows_constant",
    false_alarm=1e-10,
    power=0.999,
    aliases=("numbers_are_drawn_one_by_one",),
)
def entries_are_independent(trial: Trial) -> None:
    """Exact tests: the sum of n independent normal entries of a row, or of a column, has n times their variance.

    If the entries of a row are equal, the variance of its sum is n^2 times that of an entry.
    """

    def test(weights: Weights) -> tuple[float, str]:
        results = [(0.0, "")]
        named = {"token_embedding": weights["token_embedding"].double()[None]}
        named |= {n: in_all_layers(weights, n) for n in matrices_of(weights)}
        for name, values in named.items():
            entries, different = values[0].numel(), len(values[0].flatten().unique())
            if different < 0.75 * entries:
                found = f"{name} has only {different:,} distinct values in {entries:,} entries"
                return math.inf, f"{found}: each must be drawn independently"
            if not trial.has_form("torch_default"):
                results += [sums_of(values, axis, name) for axis in (-1, -2)]
        return max(results, key=lambda result: result[0])

    twice(trial, test)


@claim("biases start at 0 and gains at 1", broken_by="norm_scales_random")
def biases_are_zero_and_gains_one(trial: Trial) -> None:
    """Exactly. Where the default of torch.nn is declared, only the norms: torch.nn.Linear has random biases."""
    if not trial.has_form("torch_default"):
        declared_default(trial)
    for path, leaf in leaves(dict(initial_weights(trial))):
        name = str(path[-1])
        is_norm = name.startswith(("norm", "final_norm"))
        is_gain = is_norm and name.endswith("weight")
        if not is_gain and not name.endswith("bias"):
            continue
        if trial.has_form("torch_default") and not is_norm:
            continue
        wrong = leaf != (1.0 if is_gain else 0.0)
        if bool(wrong.any()):
            rule = "gains start at 1" if is_gain else "biases start at 0"
            raise Violation(f"{dotted(path)} holds {float(leaf[wrong].flatten()[0]):.4g}: {rule}")


@claim("no layer starts as a copy of another", broken_by="all_layers_identical", aliases=("every_layer_is_drawn_anew",))
def layers_differ(trial: Trial) -> None:
    weights = initial_weights(trial)
    for name in matrices_of(weights):
        layers = in_all_layers(weights, name)
        for other, one in combinations(range(len(layers)), 2):
            if torch.equal(layers[one], layers[other]):
                rule = "each layer must be drawn independently"
                raise Violation(f"{name} of layer {one} equals that of layer {other}: {rule}")


@claim("another seed gives other weights", broken_by="seed_fixed", aliases=("another_seed_another_model",))
def seed_changes_the_weights(trial: Trial) -> None:
    if trial.has_form("own_generator"):
        trial.not_applicable()
    first, second = initial_weights(trial), initial_weights(trial, other_seed=True)
    for path, leaf in leaves(dict(first)):
        other = dict(leaves(dict(second)))[path]
        if leaf.numel() and leaf.dim() > 1 and torch.equal(leaf, other) and bool((leaf != leaf.flatten()[0]).any()):
            meant = "if it has a generator of its own, declare it: --impl-variant=generator=own_generator"
            raise Violation(f"{dotted(path)} is the same with another seed ({meant})")


@claim(
    "the initial loss is ln V, within 0.1",
    broken_by="token_embedding_std_1",
    false_alarm=1e-10,
    power=0.999,
    aliases=("first_loss_is_that_of_chance",),
)
def initial_loss_is_ln_vocab_size(trial: Trial) -> None:
    """With random ids and targets.

    At these sizes the logits have a standard deviation of about 0.11 and are independent of the targets. The mean of
    192 losses is within 0.03 of ln V + 0.007 with a probability of 1 - 1e-11. It fails only if another seed fails too.
    """
    declared_default(trial)
    loss_is_near_chance(trial, 0.1)


CONTRACT = Contract(
    name="initialisation",
    meaning="Initial weights: small and random, and smaller in projections into the residual stream.",
    calls={
        "build": Signature(
            (Argument("config", "config", role="setting", fields=CONFIG), Argument("seed", "int", role="setting")),
            "an untrained model",
        ),
        "weights": Signature((), "the weights, as gpt2 takes them"),
        "logits": Signature((Argument("ids", "ids"),), "float[batch, time, vocab_size]"),
    },
    reference=initialisation,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    optional_methods=frozenset({"logits"}),
    dialects=FUNCTIONS,
    whole=WholeModel(NAMES, untrained, contract=on_a_model),
    variants=(
        Variant(
            "torch_default",
            "You use the default initialisation of torch.nn: embeddings N(0, 1), linear layers uniform within "
            "1/sqrt(in); GPT-2 draws N(0, 0.02).",
            (),
        ),
        Variant(
            "own_generator",
            "The weights are drawn from a generator of its own, so that no seed from outside changes them.",
            (),
            axis="generator",
        ),
        Variant(
            ALL_ALIKE,
            "All matrices are drawn from N(0, 0.02), those that write to the residual stream too (GPT-NeoX, OPT); in "
            "GPT-2 these are smaller the more layers there are.",
            (),
            axis="residual_scale",
        ),
    ),
    order=73,
    case_count=CASES,
    sources=(
        "Radford et al. 2019, section 2.3",
        "openai/gpt-2 src/model.py",
        "karpathy/nanoGPT model.py _init_weights",
    ),
    claims=(
        matrices_are_normal,
        residual_projections_are_scaled,
        positions_are_small_and_random,
        entries_are_independent,
        biases_are_zero_and_gains_one,
        layers_differ,
        seed_changes_the_weights,
        initial_loss_is_ln_vocab_size,
    ),
)
