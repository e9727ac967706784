"""How published projects spell the components as functions.

CS336: the adapters file of Stanford's CS336, assignment 1 (tests/adapters.py): weights as arguments, no biases, sizes beside.
picoGPT: jaymody/picoGPT gpt2.py: dictionaries of weights kept [in, out], one sequence at a time.

The arguments may be arrays of any library: plain slicing and ``.T`` is all that is done to them here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from harness.strategies.scripts import merged
from reference_model.tokenizer import GPT2_PATTERN

CS336 = "Stanford's CS336 assignment 1"
PICO = "picoGPT"
Arguments = Mapping[str, Any]


def thirds(weight: Any) -> tuple[Any, Any, Any]:
    """The rows of q, of k and of v."""
    width = weight.shape[0] // 3
    return weight[:width], weight[width : 2 * width], weight[2 * width :]


# CS336 ---------------------------------------------------------------------------------------------------------------


def cs336_heads(a: Arguments) -> dict[str, Any]:
    q, k, v = thirds(a["qkv_weight"])
    return {
        "d_model": a["x"].shape[-1],
        "num_heads": a["n_heads"],
        "q_proj_weight": q,
        "k_proj_weight": k,
        "v_proj_weight": v,
        "o_proj_weight": a["out_weight"],
        "in_features": a["x"],
    }


_MERGES: dict[int, list[tuple[bytes, bytes]]] = {}


def merges_of(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The pair that each longer token is joined from, in the order of their ranks, as files of merges list them.

    Raises NotSupported where a token is no join of two lower ones.
    """
    key = hash(frozenset(ranks.items()))
    if key not in _MERGES:
        found = []
        for token, rank in sorted(ranks.items(), key=lambda pair: pair[1]):
            if len(token) > 1:
                parts = merged(token, Below(ranks, rank))
                if len(parts) != 2:
                    raise NotSupported(
                        f"{token!r} is not the concatenation of two tokens of lower rank, which merges require"
                    )
                found.append((parts[0], parts[1]))
        _MERGES[key] = found
    return _MERGES[key]


class Below(Mapping[bytes, int]):
    """Those of some ranks that are lower than one."""

    def __init__(self, ranks: Mapping[bytes, int], limit: int) -> None:
        self.ranks, self.limit = ranks, limit

    def __contains__(self, token: object) -> bool:
        return self.ranks.get(token, self.limit) < self.limit  # type: ignore[call-overload, no-any-return]

    def __getitem__(self, token: bytes) -> int:
        return self.ranks[token]

    def __iter__(self) -> Iterator[bytes]:
        return (token for token in self.ranks if token in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def cs336_tokenizer(get_tokenizer: Callable[..., Any]) -> type:
    """``get_tokenizer(vocab, merges, special_tokens)``: every special token in a text counts as one, GPT-2's pattern."""

    class Tokenizer:
        def __init__(self, ranks: Mapping[bytes, int], pattern: str, special_tokens: Mapping[str, int]) -> None:
            if pattern != GPT2_PATTERN:
                raise NotSupported("it has no argument for the pattern")
            self.special = dict(special_tokens)
            vocab = {rank: token for token, rank in ranks.items()}
            vocab.update({i: name.encode() for name, i in self.special.items()})
            self.inner = get_tokenizer(vocab, list(merges_of(ranks)), list(self.special) or None)

        def encode(self, text: str, allowed_special: Sequence[str] = ()) -> Any:
            if any(name in text and name not in allowed_special for name in self.special):
                raise NotSupported("it always allows every special token")
            return self.inner.encode(text)

        def decode(self, ids: list[int]) -> Any:
            return self.inner.decode(ids)

    return Tokenizer


CS336_TOKENIZER = Dialect(
    CS336,
    "get_tokenizer",
    ("vocab", "merges", "special_tokens"),
    lambda a: a,
    made=cs336_tokenizer,
)
CS336_LINEAR = Dialect(
    CS336,
    "run_linear",
    ("d_in", "d_out", "weights", "in_features"),
    lambda a: {
        "d_in": a["weight"].shape[1],
        "d_out": a["weight"].shape[0],
        "weights": a["weight"],
        "in_features": a["x"],
    },
    absent=("bias",),
)
CS336_EMBEDDING = Dialect(
    CS336,
    "run_embedding",
    ("vocab_size", "d_model", "weights", "token_ids"),
    lambda a: {
        "vocab_size": a["weight"].shape[0],
        "d_model": a["weight"].shape[1],
        "weights": a["weight"],
        "token_ids": a["ids"],
    },
)
CS336_SWIGLU = Dialect(
    CS336,
    "run_swiglu",
    ("d_model", "d_ff", "w1_weight", "w2_weight", "w3_weight", "in_features"),
    lambda a: {
        "d_model": a["x"].shape[-1],
        "d_ff": a["up_weight"].shape[0],
        "w1_weight": a["gate_weight"],
        "w2_weight": a["down_weight"],
        "w3_weight": a["up_weight"],
        "in_features": a["x"],
    },
)
CS336_ATTEND = Dialect(
    CS336,
    "run_scaled_dot_product_attention",
    ("Q", "K", "V", "mask"),
    lambda a: {"Q": a["q"], "K": a["k"], "V": a["v"], "mask": a["mask"]},
)
CS336_HEADS = Dialect(
    CS336,
    "run_multihead_self_attention",
    ("d_model", "num_heads", "q_proj_weight", "k_proj_weight", "v_proj_weight", "o_proj_weight", "in_features"),
    cs336_heads,
    absent=("qkv_bias", "out_bias"),
)
CS336_RMS_NORM = Dialect(
    CS336,
    "run_rmsnorm",
    ("d_model", "eps", "weights", "in_features"),
    lambda a: {"d_model": a["x"].shape[-1], "eps": a["eps"], "weights": a["weight"], "in_features": a["x"]},
)
CS336_SOFTMAX = Dialect(
    CS336,
    "run_softmax",
    ("in_features", "dim"),
    lambda a: {"in_features": a["x"], "dim": a["dim"]},
)


CS336_SCHEDULES = tuple(
    Dialect(
        CS336,
        function,
        ("it", "max_learning_rate", "min_learning_rate", "warmup_iters", "cosine_cycle_iters"),
        lambda a: {
            "it": a["step"],
            "max_learning_rate": a["peak"],
            "min_learning_rate": a["floor"],
            "warmup_iters": a["warmup"],
            "cosine_cycle_iters": a["total"],
        },
    )
    for function in ("run_get_lr_cosine_schedule", "get_lr_cosine_schedule")
)


# clipping in place, as torch does --------------------------------------------------------------------------------------


class Parameters(Iterator[Any]):
    """What ``model.parameters()`` gives: a generator, over which one can go once. ``each``: the parameters themselves."""

    def __init__(self, grads: Sequence[torch.Tensor | None]) -> None:
        self.each = [torch.nn.Parameter(torch.zeros(()) if g is None else torch.zeros_like(g)) for g in grads]
        self.before = [None if g is None else g.clone() for g in grads]
        for parameter, grad in zip(self.each, grads, strict=True):
            parameter.grad = None if grad is None else grad.clone()
        self.rest = iter(self.each)

    def __next__(self) -> Any:
        return next(self.rest)


def clipped_in_place(given: Arguments, value: Any) -> tuple[list[Any], Any]:
    """The gradients as they were left, and the norm that was returned, a tensor or a number (nan where nothing was)."""
    clipped = [p.grad for p in _parameters(given).each]
    value = float("nan") if value is None else value
    dtype = next((g.dtype for g in clipped if g is not None), torch.float32)
    is_number = torch.is_tensor(value) or isinstance(value, (int, float))
    return clipped, torch.as_tensor(value, dtype=dtype) if is_number else value


def clipped_in_silence(given: Arguments, value: Any) -> tuple[list[Any], Any]:
    """The gradients as they were left. No norm is returned (``absent``); the one before stands in its place, unjudged."""
    present = [g.reshape(-1) for g in _parameters(given).before if g is not None]
    return clipped_in_place(given, torch.linalg.vector_norm(torch.cat(present) if present else torch.zeros(1)))


def _parameters(given: Arguments) -> Parameters:
    return next(value for value in given.values() if isinstance(value, Parameters))


def _clip(project: str, function: str, parameters: str, limit: str, returns: bool) -> Dialect:
    return Dialect(
        project,
        function,
        (parameters, limit),
        lambda a: {parameters: Parameters(a["grads"]), limit: a["max_norm"]},
        absent=() if returns else ("norm",),
        written=clipped_in_place if returns else clipped_in_silence,
    )


CLIPS = (
    _clip(CS336, "run_gradient_clipping", "parameters", "max_l2_norm", returns=False),
    *(
        _clip("torch", function, parameters, limit, returns=True)
        for function in ("clip_grad_norm_", "clip_grad_norm")
        for parameters in ("parameters", "params")
        for limit in ("max_norm", "max_l2_norm")
    ),
    *(
        _clip(CS336, function, parameters, limit, returns=False)
        for function in ("gradient_clipping", "clip_gradients")
        for parameters in ("parameters", "params")
        for limit in ("max_norm", "max_l2_norm")
    ),
)


# picoGPT -------------------------------------------------------------------------------------------------------------


def pico_linear(weight: Any, bias: Any) -> dict[str, Any]:
    """{"w": [in, out], "b": [out]}; zeros where there is no bias."""
    return {"w": weight.T, "b": bias if bias is not None else 0 * weight[:, 0]}


def pico_norm(gain: Any, shift: Any) -> dict[str, Any]:
    return {"g": gain, "b": shift if shift is not None else 0 * gain}


def pico_mlp(w: Arguments) -> dict[str, Any]:
    return {"c_fc": pico_linear(w["up_weight"], w["up_bias"]), "c_proj": pico_linear(w["down_weight"], w["down_bias"])}


def pico_heads(w: Arguments) -> dict[str, Any]:
    return {
        "c_attn": pico_linear(w["qkv_weight"], w["qkv_bias"]),
        "c_proj": pico_linear(w["out_weight"], w["out_bias"]),
    }


def pico_block(w: Arguments) -> dict[str, Any]:
    return {
        "mlp": pico_mlp(w),
        "attn": pico_heads(w),
        "ln_1": pico_norm(w["norm_1_weight"], w["norm_1_bias"]),
        "ln_2": pico_norm(w["norm_2_weight"], w["norm_2_bias"]),
    }


def pico_model(a: Arguments) -> dict[str, Any]:
    w, config = a["weights"], a["config"]
    return {
        "inputs": [int(i) for i in a["ids"]],
        "wte": w["token_embedding"],
        "wpe": w["position_embedding"],
        "blocks": [pico_block(layer) for layer in w["blocks"]],
        "ln_f": pico_norm(w["final_norm_weight"], w["final_norm_bias"]),
        "n_head": config.heads,
    }


def last_axis(a: Arguments) -> dict[str, Any]:
    """The softmax that has no axis to choose."""
    if a["dim"] not in (-1, len(a["x"].shape) - 1):
        raise NotSupported("it only works along the last axis")
    return {"x": a["x"]}


PICO_SOFTMAX = Dialect(PICO, "softmax", ("x",), last_axis)
PICO_NORM = Dialect(
    PICO,
    "layer_norm",
    ("x", "g", "b", "eps"),
    lambda a: {"x": a["x"], "g": a["weight"], "b": pico_norm(a["weight"], a["bias"])["b"], "eps": a["eps"]},
)
PICO_LINEAR = Dialect(
    PICO,
    "linear",
    ("x", "w", "b"),
    lambda a: {"x": a["x"], **pico_linear(a["weight"], a["bias"])},
)
PICO_MLP = Dialect(PICO, "ffn", ("x", "c_fc", "c_proj"), lambda a: {"x": a["x"], **pico_mlp(a)})
PICO_HEADS = Dialect(
    PICO,
    "mha",
    ("x", "c_attn", "c_proj", "n_head"),
    lambda a: {"x": a["x"], **pico_heads(a), "n_head": a["n_heads"]},
    one_by_one=("x",),
)
PICO_BLOCK = Dialect(
    PICO,
    "transformer_block",
    ("x", "mlp", "attn", "ln_1", "ln_2", "n_head"),
    lambda a: {"x": a["x"], **pico_block(a["weights"]), "n_head": a["n_heads"]},
    one_by_one=("x",),
)
PICO_MODEL = Dialect(
    PICO,
    "gpt2",
    ("inputs", "wte", "wpe", "blocks", "ln_f", "n_head"),
    pico_model,
    one_by_one=("ids",),
)


# batches -------------------------------------------------------------------------------------------------------------


def _batches(function: str, tokens: str, time: str, *more: str) -> Dialect:
    """``get_batch(data, batch_size, block_size)`` in any order; CS336's data is a NumPy array. ``more``: device, generator."""
    as_numpy = tokens == "dataset"

    def arguments(a: Arguments) -> dict[str, Any]:
        data = a["tokens"]
        given = {tokens: numpy.asarray(data) if as_numpy else data, "batch_size": a["batch"], time: a["time"]}
        if "device" in more:
            given["device"] = "cpu"
        return {**given, "generator": a["generator"]} if "generator" in more else given

    project = CS336 if as_numpy else "nanoGPT"
    return Dialect(project, function, (tokens, "batch_size", time, *more), arguments)


BATCHES = tuple(
    _batches(function, tokens, time, *more)
    for function in ("run_get_batch", "get_batch")
    for more in (("device",), ())
    for tokens in ("dataset", "data")
    for time in ("context_length", "block_size", "seq_len")
)


# learning merges -----------------------------------------------------------------------------------------------------


def _as_a_file(a: Arguments) -> dict[str, Any]:
    """The text as a file, in a folder that goes when the arguments do."""
    if not a["text"] or "\r" in a["text"]:
        raise NotSupported("it reads a file, and empty files and carriage returns are ambiguous there")
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "text.txt"
    path.write_bytes(a["text"].encode())
    given = _Files(input_path=str(path), vocab_size=a["vocab_size"], special_tokens=list(a["special_tokens"]))
    given.folder = folder
    return given


class _Files(dict[str, Any]):
    """Arguments, and the folder that one of them stands in."""

    folder: Any = None


def _file_gone(given: Arguments, value: Any) -> Any:
    assert isinstance(given, _Files)
    given.folder.cleanup()
    return value


TRAINERS = tuple(
    Dialect(CS336, function, ("input_path", "vocab_size", "special_tokens"), _as_a_file, written=_file_gone)
    for function in ("run_train_bpe", "train_bpe")
)
