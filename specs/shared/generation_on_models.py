"""Generation on somebody's own model: a model class with a method ``generate``, judged by that model's own logits.

What the model computes is judged where the model is. Here the reference draws from the logits that the same model gives
for all ids at once, so that generation is right or wrong whatever the model computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract, Signature, WholeModel
from harness.core.tree import map_leaves
from harness.core.values import Settings
from reference_model.generation import generation
from specs.shared.generation import OWN_LOGITS, CasesOf
from specs.shared.generation_functions import GenerationAdapter
from specs.shared.generation_llama import LLAMA_MODELS
from specs.shared.generation_models import GPT2_MODELS, Family

FAMILIES: Mapping[str, Family] = {"gpt2": GPT2_MODELS, "llama": LLAMA_MODELS}
"""Of which models the cases are, by the component that their modules are."""


def loaded(make: Callable[..., Any], weights: Mapping[str, Any], config: Settings) -> Any:
    """A model of these sizes with these weights. The random numbers of its initialisation are not part of the case."""
    before = torch.get_rng_state()
    built = make(config, dtype=weights["token_embedding"].dtype)
    torch.set_rng_state(before)
    built.load(weights)
    built.module.eval()
    return built


class OwnLogits:
    """The logits that a model gives for all ids at once, in float32 where it refuses float64."""

    def __init__(self, make: Callable[..., Any], weights: Mapping[str, Any], config: Settings) -> None:
        self.make, self.weights, self.config = make, weights, config
        self.built = loaded(make, weights, config)

    def __call__(self, ids: torch.Tensor) -> Any:
        """Of every id.  [B, T] -> [B, T, V]. Raises whatever the model raises in float32."""
        ids = ids.contiguous()
        with torch.no_grad():
            try:
                return self.built(ids)
            except RuntimeError:
                if self.weights["token_embedding"].dtype != torch.float64:
                    raise
            self.weights = map_leaves(
                dict(self.weights), lambda _, leaf: leaf.float() if torch.is_tensor(leaf) else leaf
            )
            self.built = loaded(self.make, self.weights, self.config)
            return self.built(ids)


def from_a_module(make: Callable[..., Any]) -> type:
    """A model class with a method ``generate``, given the weights of the case."""
    seen: dict[str, Any] = {}

    class Generate(GenerationAdapter):
        kept = seen

        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            self.config, self.built = config, loaded(make, weights, config)
            self.takes = self.built.module.generate

        def generate(self, ids: torch.Tensor, *settings: Any, **options: Any) -> Any:
            try:
                return super().generate(ids, *settings, **options)
            except NotSupported:
                raise
            except Exception:
                if not self.model_works(ids):
                    raise NotSupported("its model raises, or gives numbers that are not finite") from None
                raise

        def model_works(self, ids: torch.Tensor) -> bool:
            """Whether the model gives numbers for the prompt, and for a full context window."""
            whole = ids.repeat(1, self.config.context)[:, : self.config.context].contiguous()
            try:
                with torch.no_grad():
                    return all(bool(torch.isfinite(self.built(one)).all()) for one in (ids, whole))
            except Exception:
                return False

    return Generate


def reference_on(make: Callable[..., Any]) -> type:
    """The reference, which draws from what a model that ``make`` builds gives for the weights of the case."""

    class Generation(generation):
        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            own = OwnLogits(make, weights, config)
            super().__init__(weights, config, lambda ids, *_: own(ids))

        def logits(self, ids: torch.Tensor, least: int, crops: bool) -> torch.Tensor:
            """Those of the id after each prefix of at least so many.  -> [B, N, V]

            ``crops``: from the last ids that fit into the context window, not from all.
            """
            most = self.config.context if crops else ids.shape[1]
            prefixes = (ids[:, max(0, n - most) : n] for n in range(least, ids.shape[1] + 1))
            return torch.stack([self.model(one)[:, -1] for one in prefixes], 1)

    return Generation


def on_a_model(contract: Contract, build: Any) -> Contract:
    """The contract on the modules that ``build`` makes: with cases of such models, and their logits as the truth."""
    family = FAMILIES[build.adapter.contract.name]
    first, *rest = contract.calls["build"].arguments
    model = (replace(first, fields=family.fields), *(replace(a, fields=family.config) for a in rest))
    asked = (
        Argument("ids", "int[batch, time]"),
        Argument("least", "int", role="setting"),
        Argument("crops", "bool", role="setting"),
    )
    return replace(
        contract,
        calls={
            **contract.calls,
            "build": replace(contract.calls["build"], arguments=model),
            OWN_LOGITS: Signature(asked, "float[batch, prefixes, vocab_size]"),
        },
        optional_methods=contract.optional_methods | {OWN_LOGITS},
        reference=reference_on(build),
        cases=_on(contract.cases, family),
        claims=tuple(replace(claim, cases=_on(claim.cases, family)) for claim in contract.claims),
    )


def _on(cases: Any, family: Family) -> Any:
    return cases.on(family) if isinstance(cases, CasesOf) else cases


METHODS = WholeModel(tuple(FAMILIES), from_a_module, "generate", contract=on_a_model)
