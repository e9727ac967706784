"""Somebody's generate(), a function or a method of a model, as a component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from harness.core.values import Settings
from specs.naming.generation import FREE, IDS, MODELS, NUMBER, OPTIONS, SAMPLE, TOTAL, WINDOW
from specs.shared.generation_models import ReferenceModel


class Binding:
    """The arguments of somebody's function, found by their usual names. ``given``: those bound so far."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.parameters = inspect.signature(function).parameters
        self.any_name = any(p.kind is p.VAR_KEYWORD for p in self.parameters.values())
        by_name = {n: p for n, p in self.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        self.names = {name.lower(): name for name in by_name}
        self.required = [name for name, p in by_name.items() if p.default is p.empty]
        self.given: dict[str, Any] = {}

    def bind(self, usual: Iterable[str], value: Any) -> bool:
        """Bind the first of these names that the function has and that is free; False where it has none."""
        name = next((self.names[n] for n in usual if n in self.names and self.names[n] not in self.given), "")
        if name:
            self.given[name] = value
        return bool(name)

    def bind_prompt(self, ids: torch.Tensor, number: int, window: int) -> None:
        if not self.bind(IDS, ids):
            raise NotSupported(f"which of {', '.join(self.parameters)} is the prompt cannot be told from the names")
        if (
            not self.bind(NUMBER, number)
            and not (self.any_name and self.given.setdefault("max_new_tokens", number))
            and not self.bind(TOTAL, ids.shape[1] + number)
        ):
            known = ", ".join(self.parameters)
            raise NotSupported(f"which of {known} is the number of new ids cannot be told from the names")
        self.bind(WINDOW, window)

    def bind_options(self, options: Mapping[str, Any], ids: torch.Tensor) -> None:
        samples = options["temperature"] != 0.0 and options["top_k"] != 1
        if self.bind(SAMPLE, samples):
            options = {**options, "temperature": options["temperature"] or 1.0}  # its own switch makes it greedy
        elif self.any_name:
            self.given |= {"do_sample": samples, "attention_mask": torch.ones_like(ids)}
        for option, value in options.items():
            if self.any_name and option not in self.names:
                self.given |= _in_transformers(option, value, samples)
            elif option == "temperature" and value == 1.0 and not any(n in self.names for n in OPTIONS[option]):
                continue
            elif not self.bind(OPTIONS[option], value) and value != FREE[option]:
                raise NotSupported(f"it takes no {option}")

    def bind_rest(self) -> None:
        """What it requires besides: a device, and no generator or seed of its own."""
        left = [name for name in self.required if name not in self.given]
        for name in left:
            if name in ("device", "generator", "rng", "seed"):
                self.given[name] = torch.device("cpu") if name == "device" else None
        if left := [name for name in left if name not in self.given]:
            raise NotSupported(f"the meaning of {', '.join(left)} cannot be told from its name")


def called(
    function: Callable[..., Any], ids: torch.Tensor, number: int, window: int, options: Mapping[str, Any], *model: Any
) -> Any:
    """What the function returns, called by the names of its arguments.

    Raises NotSupported where it has no argument for an option that is set.
    """
    binding = Binding(function)
    if model and not binding.bind(MODELS, model[0]):
        binding.given[next(iter(binding.parameters))] = model[0]
    binding.bind_prompt(ids, number, window)
    binding.bind_options(options, ids)
    binding.bind_rest()
    return function(**binding.given)


def _in_transformers(option: str, value: Any, samples: bool) -> dict[str, Any]:
    """Options of transformers' generate(**kwargs), which refuses or warns of those without effect."""
    if option == "end_token":
        return {"eos_token_id": value, "pad_token_id": 0 if value is None else value}
    if not samples:
        return {}
    return {option: {"top_k": 0, "top_p": 1.0}.get(option) if value is None else value}


def as_a_batch(returned: Any, ids: torch.Tensor) -> Any:
    """What it returned as [B, ...]: lists become tensors, and one row gets its batch dimension."""
    if isinstance(returned, (list, tuple)) and returned and isinstance(returned[0], (int, list)):
        returned = torch.tensor(returned)
    if torch.is_tensor(returned) and not returned.is_floating_point() and returned.dim() == 1 and len(ids) == 1:
        return returned[None]
    return returned


class GenerationAdapter:
    """A component made of somebody's function or method; ``run`` calls it."""

    takes: Callable[..., Any]
    config: Settings
    first: tuple[Any, ...] = ()
    kept: dict[str, Any]
    """What was found out about it once: whether it takes no option, what its model must return."""

    def generate(
        self,
        ids: torch.Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        end_token: int | None = None,
    ) -> Any:
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "end_token": end_token}
        with torch.no_grad():
            if (top_k == 1 or temperature == 0.0) and top_p is None and self._takes_no_option(ids):
                options |= {"temperature": 1.0, "top_k": None}  # greedy decoding only
            elif top_k is None and temperature != 0.0 and self._takes_no_option(ids):
                raise NotSupported("it always picks the most likely id (greedy decoding only)")
            value = self._called(ids, max_new_tokens, options)
            short = (
                torch.is_tensor(value)
                and value.dim() == 2
                and len(value) == len(ids)
                and value.shape[1] <= max_new_tokens
            )
            return torch.cat([ids, value], 1) if short and self._returns_new_ids_alone() else value

    def _called(self, ids: torch.Tensor, number: int, options: Mapping[str, Any]) -> Any:
        return as_a_batch(called(self.takes, ids, number, self.config.context, options, *self.first), ids)

    def _returns_new_ids_alone(self) -> bool:
        """Whether one id more after a prompt of three comes back as one id."""
        before = torch.get_rng_state()
        value = self._called(torch.zeros(1, 3, dtype=torch.long), 1, FREE)
        torch.set_rng_state(before)
        return torch.is_tensor(value) and value.shape[-1] == 1

    def _takes_no_option(self, ids: torch.Tensor) -> bool:
        """Whether it has neither temperature nor top-k, and its output does not depend on the random generator."""
        if "no option" not in self.kept:
            parameters = inspect.signature(self.takes).parameters
            options = {*OPTIONS["temperature"], *OPTIONS["top_k"], *SAMPLE}
            bare = not any(name.lower() in options or p.kind is p.VAR_KEYWORD for name, p in parameters.items())
            self.kept["no option"] = bare and self._is_always_the_same(ids[:1].expand(24, -1).contiguous())
        return bool(self.kept["no option"])

    def _is_always_the_same(self, ids: torch.Tensor) -> bool:
        before, found = torch.get_rng_state(), []
        for seed in (1, 2):
            torch.manual_seed(seed)
            found.append(self._called(ids, 1, FREE))
        torch.set_rng_state(before)
        return torch.is_tensor(found[0]) and bool((torch.cat(found) == found[0][:1]).all())


def from_a_function(function: Callable[..., Any]) -> type:
    """``generate(model, ...)``: the model is the reference; which form its call must return is tried out."""
    seen: dict[str, Any] = {}

    class Generate(GenerationAdapter):
        takes, kept = staticmethod(function), seen

        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            self.config, model = config, ReferenceModel(weights, config)
            self.first = (model,)
            if "form" not in seen:
                seen["form"] = self._form(model)
            model.form = seen["form"]

        def _form(self, model: ReferenceModel) -> str:
            before = torch.get_rng_state()
            try:
                for model.form in ("tensor", "tuple", "object"):
                    try:
                        with torch.no_grad():
                            self._called(torch.zeros(3, 1, dtype=torch.long), 1, FREE)
                        return model.form
                    except NotSupported:
                        break
                    except Exception:  # reported when a case is run
                        continue
                return "tensor"
            finally:
                torch.set_rng_state(before)

    return Generate


FUNCTION = Dialect("its own file", "generate", (), lambda a: a, made=from_a_function)
"""A function of that name, whatever its arguments are."""
