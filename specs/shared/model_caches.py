"""The cache of somebody's whole model: given ids chunk by chunk, it must give the logits of all ids at once.

A model is given the position at which a chunk starts (meta-llama/llama, which keeps its cache), or what its last call
returned (transformers, minimal GPTs), or is told to use the cache that it keeps (LLMs-from-scratch). What it is
compared with is the same model without a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from harness.core.case import Call, Case
from harness.core.claim import NotSupported
from harness.core.contract import Argument, Contract, Signature, WholeModel
from harness.core.parameters import parameter_names
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from specs.naming import names
from specs.naming.forward import FORWARD
from specs.shared.caches import chunks_of
from specs.shared.generation_models import Family
from specs.shared.generation_on_models import FAMILIES, OwnLogits, loaded

START = FORWARD["start"]
PAST = names("past_key_values past_kvs past_kv past_key_value layer_past past kv_cache kv_caches cache caches")
USE = ("use_cache", "use_kv_cache")
RESET = names("reset_kv_cache reset_cache clear_kv_cache clear_cache reset_caches clear_caches reset_past")
CLAIMS = (
    *("consistent_across_splits", "chunks_are_causal", "instances_are_independent"),
    *("rows_of_a_batch_are_independent", "reset_clears_the_cache", "accurate_in_float32"),
)
"""The claims of a cache that a whole model can be asked."""
SLIPS = (NameError, ImportError, NotImplementedError, RecursionError, ZeroDivisionError)
"""What no argument can be the reason for: errors of the code itself."""
NEAR = 1e-3
"""How far logits may move, of the largest, where later ids are added to a causal model: rounding in float32 is less."""


def has_a_cache(kind: Any) -> bool:
    """Whether the forward of a module class takes what a cache needs."""
    taken = parameter_names(kind.forward) if hasattr(kind, "forward") else ()
    return any(name in taken for name in (*START, *PAST, *USE))


def state_of(thing: Any, depth: int = 5) -> Iterator[tuple[Any, ...]]:
    """Shape and sum of every tensor that a module or object keeps beside its parameters."""
    if torch.is_tensor(thing):
        yield tuple(thing.shape), float(thing.detach().abs().nan_to_num().double().sum())
    elif depth and isinstance(thing, nn.Module):
        held = (v for n, v in vars(thing).items() if n not in ("_parameters", "_modules"))
        for value in (*held, *thing.children()):
            yield from state_of(value, depth if isinstance(value, nn.Module) else depth - 1)
    elif depth and isinstance(thing, (list, tuple, dict)):
        for value in thing.values() if isinstance(thing, dict) else thing:
            yield from state_of(value, depth - 1)
    elif depth and hasattr(thing, "__dict__") and not callable(thing):
        yield from state_of(vars(thing), depth - 1)


def past_in(returned: Any) -> Any:
    """The cache in what a forward pass returned; None where there is none."""
    for name in PAST:
        found = returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)
        if found is not None:
            return found
    if not isinstance(returned, tuple):
        return None
    rest = (v for v in returned[1:] if isinstance(v, (list, tuple, dict)) or (torch.is_tensor(v) and v.dim() > 3))
    return next(rest, None)


class CachedModel:
    """A whole model with its cache, with the calls of the contract. ``make``: what builds one."""

    make: Callable[..., Any]

    def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
        self.built = loaded(self.make, weights, config)
        self.anew: Callable[[], Any] = lambda: loaded(self.make, weights, config)
        self.without: Callable[[], Any] = lambda: OwnLogits(self.make, weights, config)
        taken = parameter_names(type(self.built.module).forward)
        self.start, self.past, self.use = (next((n for n in usual if n in taken), "") for usual in (START, PAST, USE))
        self.seen: torch.Tensor | None = None
        self.held: Any = None
        self.keeps = False

    def prefill(self, x: torch.Tensor) -> Any:
        return self.extend(x)

    def step(self, x: torch.Tensor) -> Any:
        return self.extend(x)

    def extend(self, x: torch.Tensor) -> Any:
        position = 0 if self.seen is None else self.seen.shape[1]
        options = {self.start: position, self.use: True, self.past: self.held}
        before = [] if self.keeps or not position else [*state_of(self.built.module)]
        try:
            with torch.no_grad():
                returned = self.built.returned(x, **{name: value for name, value in options.items() if name})
        except SLIPS:
            raise
        except Exception as error:
            if isinstance(error, RuntimeError) and self.refuses_its_dtype(x):
                raise
            if position and x.shape[1] > 1:
                raise NotSupported(f"it refuses several ids after the first ({type(error).__name__})") from None
            if not position:  # it needs more than ids and an empty cache: a mask over both, say
                raise NotSupported(f"it raises {type(error).__name__} when told to use an empty cache") from None
            raise
        self.held = past_in(returned) if self.past else None
        self.keeps = self.keeps or self.held is not None or bool(before and [*state_of(self.built.module)] != before)
        if position and not self.keeps:
            raise NotSupported("it neither returns nor keeps a cache")
        self._note_seen(x)
        return self.built.adapter.output_of(returned, x)

    def refuses_its_dtype(self, x: torch.Tensor) -> bool:
        """Whether it raises without a cache too, but not in float32: it is judged in that then.

        At sizes that it does not take (a head of odd size cannot be rotated in pairs) it raises in float32 too.
        """
        try:
            with torch.no_grad():
                self.anew()(x)
        except RuntimeError:
            with suppress(Exception):
                self.without()(x)
                return True
        return False

    def _note_seen(self, x: torch.Tensor) -> None:
        """Raises NotSupported where more ids change what the model gives before them: no cache can do that.

        Ids that repeat those before them change nothing, so others are tried too.
        """
        before, self.seen = self.seen, x if self.seen is None else torch.cat([self.seen, x], 1)
        if before is None:
            return
        one = self.without()(before)
        for later in (x, torch.where(x > 0, x - 1, x + 1)):
            all_ids = self.without()(torch.cat([before, later], 1))
            if float((all_ids[:, : one.shape[1]] - one).abs().max()) > NEAR * float(one.abs().max()):
                raise NotSupported("its model is not causal: a cache cannot give what it gives")

    def reset(self) -> None:
        self.seen = self.held = None
        if not (self.start or self.past):
            method = next((m for n in RESET if callable(m := getattr(self.built.module, n, None))), None)
            if method is None:
                raise NotSupported("it has no method that clears its cache")
            method()


def cached_model(make: Callable[..., Any]) -> type:
    """The cache of the models that ``make`` builds."""
    return type("CachedModel", (CachedModel,), {"make": staticmethod(make)})


def without_a_cache(make: Callable[..., Any]) -> type:
    """The same models without a cache: each chunk is computed with all ids before it."""

    class WithoutCache:
        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            self.logits = OwnLogits(make, weights, config)
            self.seen: torch.Tensor | None = None

        def extend(self, x: torch.Tensor) -> Any:
            self.seen = x if self.seen is None else torch.cat([self.seen, x], 1)
            return self.logits(self.seen)[:, -x.shape[1] :]

        prefill = step = extend

        def reset(self) -> None:
            self.seen = None

    return WithoutCache


@st.composite
def scripts(draw: st.DrawFn, family: Family) -> Case:
    """build, a prefill of any length, then chunks of one or several ids."""
    time, rows = draw(st.sampled_from((4, 5, 6, 7, 3, 2))), draw(st.integers(1, 3))
    config = draw(family.sizes(time + draw(st.sampled_from((3, 0, 1)))))
    weights, x = family.weights(config, draw(seeds) % 1000), draw(token_ids((rows, time), config.vocab_size))
    most, lengths = draw(st.sampled_from((1, 1, 3))), [draw(st.integers(1, time - 1))]
    while sum(lengths) < time:
        lengths.append(draw(st.integers(1, min(most, time - sum(lengths)))))
    sizes = {"batch": rows, "time": time, "heads": config.heads, "layers": config.layers}
    build = Call("build", {"weights": weights, "config": config})
    return Case((build, *chunks_of(x, lengths)), sizes, f"cut {'+'.join(map(str, lengths))} of {config.context}")


def on_a_model(contract: Contract, build: Any) -> Contract:
    """The contract on the modules that ``build`` makes: of ids and logits, in place of one layer's positions."""
    family = FAMILIES[build.adapter.contract.name]
    model = (
        Argument("weights", "weights", role="parameter", fields=family.fields),
        Argument("config", "config", role="setting", fields=family.config),
    )
    chunk = Signature((Argument("x", "int[batch, time]"),), "float[batch, time, vocab_size]")
    return replace(
        contract,
        meaning="A model with a cache of earlier keys and values gives what it gives without.",
        calls={
            **contract.calls,
            "build": Signature(model, "the model, its cache empty"),
            **dict.fromkeys(("prefill", "step", "extend"), chunk),
        },
        reference=without_a_cache(build),
        cases=lambda: scripts(family),
        invalid=None,
        half_precision=False,
        tables_in_float32=True,
        variants=(),
        measures=(),
        workloads=(),
        claims=tuple(claim for claim in contract.claims if claim.name in CLAIMS),
    )


WHOLE = WholeModel(tuple(FAMILIES), cached_model, fits=has_a_cache, contract=on_a_model)
