"""Initialisation of a Llama. Its authors state no law for its weights, and published code has many.

What holds for every law is judged: entries are drawn one by one, each layer anew, from the seed; gains start at one;
and an untrained model prefers no id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial, Violation
from harness.core.contract import Contract
from harness.core.tree import dotted, leaves
from harness.core.values import Settings
from harness.strategies.tensors import seeds
from reference_model.config import LlamaConfig
from reference_model.llama import initialise_llama, llama
from specs.naming.llama import LLAMA_CONFIG
from specs.shared.initial_weights import initial_weights, is_as_torch_draws, loss_is_near_chance
from specs.shared.sizes_of_models import is_llama

NAMES = ("gpt2", "llama")
"""The components whose modules have an initialisation."""
REQUIRED = ("query_weight", "key_weight", "value_weight", "out_weight", "up_weight", "down_weight")
"""The tensors of a layer that every Llama has."""
MOST = 1.5
"""How far the first loss may be from ln V: logits of standard deviation 1.7. The defaults of torch.nn give 0.2 with a
head of its own, He's law 1, and a tied table of torch.nn 16."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small Llamas of two to four layers, in which every kind of matrix has thousands of entries."""
    config = Settings(
        vocab_size=draw(st.sampled_from((83, 97))),
        context=40,
        width=32,
        heads=4,
        kv_heads=draw(st.sampled_from((2, None))),
        head_size=None,
        hidden=draw(st.sampled_from((128, 85))),
        layers=draw(st.sampled_from((2, 3, 4))),
    )
    calls = (Call("build", {"config": config, "seed": draw(seeds)}), Call("weights", {}))
    sizes = {name: value for name, value in config.as_dict().items() if value is not None}
    return Case(calls, sizes, f"{config.layers} layers")


class UntrainedLlama:
    """The reference: what every Llama has, drawn from the seed."""

    def __init__(self, config: Any, seed: int) -> None:
        self.config = config
        sizes = {
            name: getattr(config, name) for name in ("vocab_size", "context", "width", "heads", "hidden", "layers")
        }
        kv_heads, size = config.kv_heads or config.heads, config.width // config.heads
        whole = LlamaConfig(**sizes, kv_heads=kv_heads, head_size=size)
        self.drawn = initialise_llama(whole, torch.Generator().manual_seed(seed))

    def weights(self) -> dict[str, Any]:
        """The tensors that no Llama lacks."""
        blocks = [{name: layer[name] for name in REQUIRED} for layer in self.drawn["blocks"]]
        return {"token_embedding": self.drawn["token_embedding"], "blocks": blocks}

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """What it says untrained.  ids int [B, T] -> [B, T, V]"""
        return llama(ids, self.drawn, self.config)


def gains_are_one(trial: Trial) -> None:
    """Exactly; or all of them 0, where a gain is used as 1 + weight. Norms behind a sublayer may start smaller."""
    every = [(str(path[-1]), path, leaf) for path, leaf in leaves(dict(initial_weights(trial)))]
    named = [(path, leaf) for name, path, leaf in every if "norm" in name and not name.startswith("post_norm")]
    if not named:
        trial.not_applicable()
    usual = 1.0 if any(bool(leaf.any()) for _, leaf in named) else 0.0
    for path, leaf in named:
        wrong = leaf != usual
        if bool(wrong.any()):
            raise Violation(f"{dotted(path)} holds {float(leaf[wrong].flatten()[0]):.4g}: gains start at 1")


def loss_is_that_of_chance(trial: Trial) -> None:
    """Within 1.5 of ln V. Code that draws nothing itself, but loads what others trained, is not asked."""
    if is_as_torch_draws(initial_weights(trial)):
        trial.not_applicable()
    loss_is_near_chance(trial, MOST)


SENTENCES = {
    "biases_are_zero_and_gains_one": ("gains start at 1", gains_are_one),
    "initial_loss_is_ln_vocab_size": ("the initial loss is ln V, within 1.5", loss_is_that_of_chance),
}
LAWLESS = ("entries_are_independent", "layers_differ", "seed_changes_the_weights")
"""Claims that hold whatever the law is."""


def on_a_model(contract: Contract, build: Any) -> Contract:
    """The contract on the modules that ``build`` makes: that of a Llama asks nothing of GPT-2's law."""
    if not is_llama(build):
        return contract
    claims = [claim for claim in contract.claims if claim.name in (*LAWLESS, *SENTENCES)]
    chosen = [
        replace(claim, sentence=SENTENCES[claim.name][0], test=SENTENCES[claim.name][1])
        if claim.name in SENTENCES
        else claim
        for claim in claims
    ]
    config, *rest = contract.calls["build"].arguments
    model = (replace(config, fields=LLAMA_CONFIG), *rest)
    return replace(
        contract,
        meaning="Initial weights: small and random, each drawn on its own.",
        calls={**contract.calls, "build": replace(contract.calls["build"], arguments=model)},
        reference=UntrainedLlama,
        cases=cases,
        claims=tuple(chosen),
    )
