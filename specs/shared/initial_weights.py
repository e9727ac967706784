"""Exact tests of initial weights, and the name of the distribution that they follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from harness.core.case import Call, Case
from harness.core.claim import NotSupported, Trial, Violation
from harness.core.tree import dotted, leaves
from harness.core.values import Settings
from harness.numerics.statistics import binomial_two_sided, chi_square_two_sided, normal_two_sided

Weights = Mapping[str, Any]
"""The weights of a model as gpt2 takes them: tensors by name, and a list of blocks."""
STD = 0.02


LEVEL = 1e-13
"""The significance level of every test. A claim makes at most 5 tests of 6 kinds of tensors in 4 cases: 1.2e-11
together. It fails only if the same test fails for another seed too."""


BEYOND_TWO = math.erfc(math.sqrt(2))
"""The fraction of normal numbers beyond two standard deviations: 4.55 %."""


def seeded(case: Case, seed: int, *calls: Call) -> Case:
    """The case with another seed, and with these calls after build() where there are some."""
    build = case.calls[0]
    return replace(case, calls=(Call("build", {**build.arguments, "seed": seed}), *(calls or case.calls[1:])))


def config_of(trial: Trial) -> Settings:
    """The sizes of the model."""
    config: Settings = trial.case.calls[0].arguments["config"]
    return config


def initial_weights(trial: Trial, other_seed: bool = False) -> Weights:
    """The weights, checked to have the shapes of the contract. ``other_seed``: those of another seed."""
    seed = trial.case.calls[0].arguments["seed"]
    case = seeded(trial.case, (seed + 7_777) % 2**31) if other_seed else trial.case
    value, expected = trial.run(case).value, trial.expect(case).value
    found = dict(leaves(value))
    for path, leaf in leaves(expected):
        other = found.get(path)
        if torch.is_tensor(other) and not other.numel():
            continue  # a table that it does without
        if not torch.is_tensor(other) or other.shape != leaf.shape:
            raise Violation(f"{dotted(path)} must be a tensor {list(leaf.shape)}")
    weights: Weights = value
    return weights


def in_all_layers(weights: Weights, name: str) -> torch.Tensor:
    """This matrix of every layer, stacked: [layers, rows, columns]."""
    return torch.stack([block[name].double() for block in weights["blocks"]])


RESIDUAL = ("out_weight", "down_weight")
"""What writes to the residual stream. Some models with a gate start it at zero: nanochat, modded-nanogpt."""


def matrices_of(weights: Weights) -> list[str]:
    """The matrices of a block that must have been drawn."""
    block = weights["blocks"][0]
    names = [name for name, value in block.items() if value.dim() == 2]
    may_be_zero = RESIDUAL if "query_weight" in block else ()
    return [name for name in names if name not in may_be_zero or bool(in_all_layers(weights, name).any())]


def loss_is_near_chance(trial: Trial, most: float) -> None:
    """The loss of random ids and targets is ln V, within ``most``; it fails only if that of another seed is not."""
    config, generator = config_of(trial), trial.random()
    ids = torch.randint(0, config.vocab_size, (8, 24), generator=generator)
    targets = torch.randint(0, config.vocab_size, (8, 24), generator=generator)
    seed = trial.case.calls[0].arguments["seed"]

    def loss(at: int) -> float:
        case = seeded(trial.case, at, Call("logits", {"ids": ids}))
        try:
            logits = trial.run(case).value
        except NotSupported:
            raise NotSupported("it has no logits(): only the weights were checked") from None
        if not torch.is_tensor(logits) or logits.shape != (*ids.shape, config.vocab_size):
            raise Violation("logits must be [batch, time, vocab_size]")
        return float(torch.nn.functional.cross_entropy(logits.double().flatten(0, 1), targets.flatten()))

    chance = math.log(config.vocab_size)
    found = min((loss(at) for at in (seed, (seed + 1) % 2**31)), key=lambda value: abs(value - chance))
    if not abs(found - chance) <= most:
        right = f"an untrained model must give ln {config.vocab_size} = {chance:.3f}"
        raise Violation(f"the initial loss is {found:.3f}; {right}")
    trial.note_error(abs(found - chance) / most)


def laws(config: Settings, shape: Iterable[int]) -> dict[str, float]:
    """Standard deviations that a matrix [..., out, in] may have in a model of these sizes, by their description."""
    rows, columns, layers = *tuple(shape)[-2:], config.layers
    return {
        "0.02": STD,
        "0.02 / sqrt(2 L)": STD / math.sqrt(2 * layers),
        "0.02 / sqrt(L)": STD / math.sqrt(layers),
        "0.02 / (2 L)": STD / (2 * layers),
        "0.02 / L": STD / layers,
        "0.02 sqrt(2 L)": STD * math.sqrt(2 * layers),
        "1, the default of torch.nn.Embedding": 1.0,
        "0.01": 0.01,
        "1 / sqrt(3 in), the default of torch.nn.Linear": 1 / math.sqrt(3 * columns),
        "sqrt(2 / (in + out)), Xavier's": math.sqrt(2 / (rows + columns)),
        "sqrt(2 / in), He's": math.sqrt(2 / columns),
        "1 / sqrt(in)": 1 / math.sqrt(columns),
        "sqrt(0.02): 0.02 is the deviation, not the variance": math.sqrt(STD),
        "0.88 x 0.02: cut off at two deviations": 0.8796 * STD,
        "0.2": 0.2,
        "0.002": 0.002,
        "0.01155: uniform within 0.02": STD / math.sqrt(3),
    }


def law_of(config: Settings, values: torch.Tensor) -> str:
    """The standard deviation of the values, with the nearest of these laws where so many values can distinguish it.

    With four layers 0.02 / sqrt(L) is 0.01: laws that give the same number are all named.
    """
    found = float(values.pow(2).mean().sqrt())
    if not found:
        return "0: it is all zeros"
    resolution = 6 / math.sqrt(2 * values.numel())
    known = laws(config, values.shape)
    nearest = min(known.values(), key=lambda law: abs(math.log(found / law)))
    names = " or ".join(name for name, law in known.items() if math.isclose(law, nearest))
    return f"{found:.4g}" + (f" ({names})" if abs(math.log(found / nearest)) < resolution else "")


TORCH_DEFAULT = (
    "you use the default initialisation of torch.nn: linear layers uniform within 1/sqrt(in), embeddings N(0, 1); "
    "GPT-2 draws N(0, 0.02). "
    'If this is intended, declare it:  initialisation = "torch_default" under [tool.plumbline] in pyproject.toml, or '
    "--impl-variant=initialisation=torch_default"
)


def is_as_torch_draws(weights: Weights) -> bool:
    """Whether linear layers have the default of torch.nn: uniform within 1 / sqrt(in)."""
    values = in_all_layers(weights, "up_weight")
    limit = 1 / math.sqrt(values.shape[-1])
    uniform = float(values.pow(2).mean().sqrt()) * math.sqrt(3) / limit
    return float(values.abs().max()) <= 1.0001 * limit and 0.97 < uniform < 1.03


def declared_default(trial: Trial) -> None:
    """Not applicable where the default of torch.nn is declared; a Violation where it is used undeclared."""
    if trial.has_form("torch_default"):
        trial.not_applicable()
    if is_as_torch_draws(initial_weights(trial)):
        raise Violation(TORCH_DEFAULT)


def twice(trial: Trial, test: Callable[[Weights], tuple[float, str]]) -> None:
    """Run a random test on the weights; it fails only if it fails on the weights of another seed too."""
    ratio, message = test(initial_weights(trial))
    if ratio > 1:
        ratio, message = min((ratio, message), test(initial_weights(trial, other_seed=True)))
    if ratio > 1:
        raise Violation(message, error=ratio)
    trial.note_error(ratio)


def worst_of(chances: Mapping[str, float]) -> tuple[float, str]:
    """The log of the smallest of these p-values in units of log LEVEL, and its name."""
    ratios = {name: math.log(max(chance, 1e-300)) / math.log(LEVEL) for name, chance in chances.items()}
    name = max(ratios, key=lambda n: ratios[n])
    return ratios[name], name


def spread_of(config: Settings, values: torch.Tensor, std: float, name: str, law: str) -> tuple[float, str]:
    """Exact tests of N(0, std^2): the variance, the mean, and the fraction beyond two standard deviations."""
    count, flat = values.numel(), values.flatten() / std
    ratio, which = worst_of(
        {
            "variance": chi_square_two_sided(float(flat.pow(2).sum()), count),
            "mean": normal_two_sided(float(flat.sum()) / math.sqrt(count)),
            "shape": binomial_two_sided(int((flat.abs() > 2).sum()), count, BEYOND_TWO),
        }
    )
    messages = {
        "variance": f"{name} has a standard deviation of {law_of(config, values)}; it must be {law} = {std:.4g}",
        "mean": f"{name} has a mean of {float(values.mean()):.3g}; it must be 0",
        "shape": f"{name} is not normally distributed: {100 * float((flat.abs() > 2).double().mean()):.3g} % of it is "
        "beyond two standard deviations, not 4.55 %",
    }
    return ratio, messages[which]


def sums_of(values: torch.Tensor, axis: int, name: str) -> tuple[float, str]:
    """An exact test of the sums of the rows (axis -1) or columns (axis -2) of matrices [layers, out, in]."""
    sums = values.sum(axis) / (values.pow(2).mean().sqrt() * math.sqrt(values.shape[axis]))
    lines = {-1: "rows", -2: "columns"}[axis]
    ratio, _ = worst_of({lines: chi_square_two_sided(float(sums.pow(2).sum()), sums.numel())})
    times = f"{float(sums.pow(2).mean().sqrt()):.3g} times as much"
    return ratio, f"the entries within {lines} of {name} are not independent: their sums vary {times}"
