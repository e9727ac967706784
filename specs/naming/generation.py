"""Tiny models that have something to say, and how published projects spell "go on writing".

``generate(model, idx, max_new_tokens, context_size, temperature, top_k, eos_id)`` and methods of that name are called by the
names of their arguments, whatever their order. What a function does not take is not asked of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect, WholeModel
from harness.core.values import Settings
from reference_model.gpt2 import gpt2
from specs.naming.sizes import SIZES
from specs.shared.attention import learned

MODELS = ("model", "lm", "net", "gpt", "transformer", "language_model", "m")
IDS = (
    "ids",
    "idx",
    "input_ids",
    "prompt",
    "tokens",
    "start_ids",
    "prompt_ids",
    "inputs",
    "token_ids",
    "x",
    "prompts",
    "start_tokens",
    "context",
    "in_indices",
    "start",
)
NUMBER = (
    "max_new_tokens",
    "n",
    "num_tokens",
    "n_tokens",
    "steps",
    "max_tokens",
    "num_new_tokens",
    "n_new_tokens",
    "new_tokens",
    "n_tokens_to_generate",
    "max_gen_len",
    "length",
    "num_tokens_to_generate",
    "max_tokens_generated",
    "gen_len",
)
TOTAL = ("max_returned_tokens", "max_length", "max_len", "total_len")
WINDOW = (
    "context_size",
    "block_size",
    "context_length",
    "max_seq_len",
    "n_ctx",
    "max_seq_length",
    "context_window",
    "context_len",
    "context",
)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature", "temp", "t"),
    "top_k": ("top_k", "topk", "k"),
    "top_p": ("top_p", "topp", "p", "nucleus_p"),
    "end_token": (
        "end_token",
        "eos_id",
        "eos_token_id",
        "eos_token",
        "eos",
        "end_id",
        "stop_token",
        "eot_token",
        "eos_idx",
        "end_token_id",
    ),
}
FREE: Mapping[str, Any] = {"temperature": 1.0, "top_k": None, "top_p": None, "end_token": None}
SAMPLE = ("do_sample", "sample", "sampling")


# models --------------------------------------------------------------------------------------------------------------


def talkative(config: Settings, seed: int) -> dict[str, Any]:
    """Weights under which the next id depends on all ids before it, and on where they stand."""
    width = config.width

    def tensor(at: int, *shape: int, scale: float, around: float = 0.0) -> torch.Tensor:
        return learned("normal", shape, 1000 * seed + at, scale, around)

    blocks = []
    for layer in range(config.layers):
        at = 20 * (layer + 1)
        blocks.append(
            {
                "norm_1_weight": tensor(at, width, scale=0.3, around=1.2),
                "norm_1_bias": tensor(at + 1, width, scale=0.3),
                "qkv_weight": tensor(at + 2, 3 * width, width, scale=1.2 / width**0.5),
                "qkv_bias": tensor(at + 3, 3 * width, scale=0.3),
                "out_weight": tensor(at + 4, width, width, scale=1.5 / width**0.5),
                "out_bias": tensor(at + 5, width, scale=0.3),
                "norm_2_weight": tensor(at + 6, width, scale=0.3, around=1.0),
                "norm_2_bias": tensor(at + 7, width, scale=0.3),
                "up_weight": tensor(at + 8, 4 * width, width, scale=1.5 / width**0.5),
                "up_bias": tensor(at + 9, 4 * width, scale=0.3),
                "down_weight": tensor(at + 10, width, 4 * width, scale=1.0 / width**0.5),
                "down_bias": tensor(at + 11, width, scale=0.3),
            }
        )
    return {
        "token_embedding": tensor(0, config.vocab_size, width, scale=0.5),
        "position_embedding": tensor(1, config.context, width, scale=0.8),
        "blocks": blocks,
        "final_norm_weight": tensor(2, width, scale=0.3, around=1.5),
        "final_norm_bias": tensor(3, width, scale=0.2),
    }


def next_logits(ids: torch.Tensor, weights: Mapping[str, Any], config: Settings) -> torch.Tensor:
    """What the whole of these ids, as far as the context reaches, gives for the next one.  [B, V]"""
    return gpt2(ids[:, -config.context :], weights, config)[:, -1].double()


def greedy(ids: torch.Tensor, number: int, weights: Mapping[str, Any], config: Settings) -> tuple[torch.Tensor, float]:
    """The prompt with the most likely ids after it, and how near the second most likely ever came."""
    nearest = float("inf")
    for _ in range(number):
        two = next_logits(ids, weights, config).topk(2, -1)
        nearest = min(nearest, float((two.values[:, 0] - two.values[:, 1]).min()))
        ids = torch.cat([ids, two.indices[:, :1]], 1)
    return ids, nearest


CLEAR, TRIED = 0.02, 40
"""How far the most likely logit must be above the second (float32 rounds to 1e-5 of it), and how many models are tried."""


@lru_cache(maxsize=512)
def outspoken(config: Settings, seed: int, batch: int, time: int, number: int) -> tuple[dict[str, Any], torch.Tensor]:
    """(weights, prompt): what comes next is never a near tie, and is not one id over and over."""
    best: tuple[Any, ...] = ()
    for attempt in range(TRIED):
        weights = talkative(config, seed + 7919 * attempt)
        generator = torch.Generator().manual_seed(seed + attempt)
        ids = torch.randint(0, config.vocab_size, (batch, time), generator=generator)
        whole, nearest = greedy(ids, number, weights, config)
        kinds = min(len(set(row.tolist())) for row in whole[:, time:]) if number else 1
        best = max(
            best,
            (min(nearest / CLEAR, 1.0), min(kinds, 2 if number > 2 else 1), -attempt, weights, ids),
            key=lambda b: b[:3] or (0,),
        )
        if nearest >= CLEAR and kinds >= min(number, 3):
            break
    return best[3], best[4]


class Speaker(torch.nn.Module):
    """The reference with its weights, as a model object that functions are handed. ``form``: what its call returns."""

    def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
        super().__init__()
        self.weights, self.sizes, self.form = weights, config, "tensor"
        known = config.as_dict()
        names = {name: known[size] for size, usual in SIZES.items() if size in known for name in (size, *usual)}
        self.config = self.cfg = SimpleNamespace(**names)
        for name in WINDOW:
            setattr(self, name, config.context)
        self.vocab_size, self.device = config.vocab_size, torch.device("cpu")
        self.anchor = torch.nn.Parameter(
            torch.zeros((), dtype=weights["token_embedding"].dtype)
        )  # its device and dtype

    def forward(self, ids: torch.Tensor, *_: Any, **__: Any) -> Any:
        logits = gpt2(ids, self.weights, self.sizes)
        return {"tensor": logits, "tuple": (logits, None), "object": SimpleNamespace(logits=logits, loss=None)}[
            self.form
        ]


# calling -------------------------------------------------------------------------------------------------------------


def asked(
    function: Callable[..., Any], ids: torch.Tensor, number: int, window: int, options: Mapping[str, Any], *first: Any
) -> Any:
    """Their function called by the names of its arguments.

    Raises NotSupported where an option that differs from what leaving it out means has no place.
    """
    parameters = inspect.signature(function).parameters
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = {
        name.lower(): name for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    given: dict[str, Any] = {}

    def put(usual: tuple[str, ...], value: Any) -> bool:
        name = next((names[n] for n in usual if n in names and names[n] not in given), "")
        if name:
            given[name] = value
        return bool(name)

    if first and not put(MODELS, first[0]):
        given[next(iter(parameters))] = first[0]
    if not put(IDS, ids):
        raise NotSupported(f"which of {', '.join(parameters)} is the prompt cannot be told from the names")
    if (
        not put(NUMBER, number)
        and not (any_name and given.setdefault("max_new_tokens", number))
        and not put(TOTAL, ids.shape[1] + number)
    ):
        raise NotSupported(f"which of {', '.join(parameters)} is the number of new ids cannot be told from the names")
    put(WINDOW, window)
    draws = options["temperature"] != 0.0 and options["top_k"] != 1
    if put(SAMPLE, draws):
        options = {
            **options,
            "temperature": options["temperature"] or 1.0,
        }  # it has a switch of its own for the most likely id
    elif any_name:
        given |= {"do_sample": draws, "attention_mask": torch.ones_like(ids)}
    for option, value in options.items():
        if any_name and option not in names:
            given |= _in_transformers(option, value, draws)
        elif option == "temperature" and value == 1.0 and not any(n in names for n in OPTIONS[option]):
            continue
        elif not put(OPTIONS[option], value) and value != FREE[option]:
            raise NotSupported(f"it takes no {option}")
    needs = [
        n
        for n, p in parameters.items()
        if p.default is p.empty and n not in given and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if needs:
        given |= {
            name: torch.device("cpu") if "device" in name else None
            for name in needs
            if name in ("device", "generator", "rng", "seed")
        }
        if left := [name for name in needs if name not in given]:
            raise NotSupported(f"the meaning of {', '.join(left)} cannot be told from its name")
    return function(**given)


def _in_transformers(option: str, value: Any, draws: bool) -> dict[str, Any]:
    """Options of transformers' generate(**kwargs), which refuses or warns of those that do not act."""
    if option == "end_token":
        return {"eos_token_id": value, "pad_token_id": 0 if value is None else value}
    if not draws:
        return {}
    return {option: {"top_k": 0, "top_p": 1.0}.get(option) if value is None else value}


def as_a_batch(returned: Any, ids: torch.Tensor) -> Any:
    """What came back as [B, ...]: lists, and one row without its axis, are put right."""
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
    """What was seen of it once: whether it takes no option, what its model must return."""

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
                options |= {"temperature": 1.0, "top_k": None}  # one that always takes the most likely id
            elif top_k is None and temperature != 0.0 and self._takes_no_option(ids):
                raise NotSupported("it always picks the most likely id (greedy decoding only)")
            value = self._asked(ids, max_new_tokens, options)
            short = (
                torch.is_tensor(value)
                and value.dim() == 2
                and len(value) == len(ids)
                and value.shape[1] <= max_new_tokens
            )
            return torch.cat([ids, value], 1) if short and self._returns_new_ids_alone() else value

    def _asked(self, ids: torch.Tensor, number: int, options: Mapping[str, Any]) -> Any:
        return as_a_batch(asked(self.takes, ids, number, self.config.context, options, *self.first), ids)

    def _returns_new_ids_alone(self) -> bool:
        """Whether one id more after a prompt of three comes back as one id."""
        before = torch.get_rng_state()
        value = self._asked(torch.zeros(1, 3, dtype=torch.long), 1, FREE)
        torch.set_rng_state(before)
        return torch.is_tensor(value) and value.shape[-1] == 1

    def _takes_no_option(self, ids: torch.Tensor) -> bool:
        """Whether it has neither temperature nor top-k, and says the same whatever the random generator does."""
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
            found.append(self._asked(ids, 1, FREE))
        torch.set_rng_state(before)
        return torch.is_tensor(found[0]) and bool((torch.cat(found) == found[0][:1]).all())


def from_a_function(function: Callable[..., Any]) -> type:
    """``generate(model, ...)``: the model is the reference; what its call must return is tried out."""

    seen: dict[str, Any] = {}

    class Generate(GenerationAdapter):
        takes, kept = staticmethod(function), seen

        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            self.config, model = config, Speaker(weights, config)
            self.first = (model,)
            if "form" not in seen:
                seen["form"] = self._form(model)
            model.form = seen["form"]

        def _form(self, model: Speaker) -> str:
            before = torch.get_rng_state()
            try:
                for model.form in ("tensor", "tuple", "object"):
                    try:
                        with torch.no_grad():
                            self._asked(torch.zeros(3, 1, dtype=torch.long), 1, FREE)
                        return model.form
                    except NotSupported:
                        break
                    except Exception:  # told when a case is run
                        continue
                return "tensor"
            finally:
                torch.set_rng_state(before)

    return Generate


def from_a_module(make: Callable[..., Any]) -> type:
    """A model class with a method ``generate``, given the weights of the case."""
    seen: dict[str, Any] = {}

    class Generate(GenerationAdapter):
        kept = seen

        def __init__(self, weights: Mapping[str, Any], config: Settings) -> None:
            before = torch.get_rng_state()  # what building it draws is no part of what it says
            built = make(config, dtype=weights["token_embedding"].dtype)
            torch.set_rng_state(before)
            built.load(weights)
            built.module.eval()
            self.config, self.takes = config, built.module.generate

    return Generate


FUNCTION = Dialect("its own file", "generate", (), lambda a: a, made=from_a_function)
"""A function of that name, whatever its arguments are."""
METHODS = WholeModel("gpt2", from_a_module, "generate")
