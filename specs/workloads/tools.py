"""What is timed of the tokenizer, optimisers, quantizers and low-rank adapters, with the libraries that people use beside them."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from harness.core.case import Call, Case
from harness.core.values import Earlier, Resource
from harness.core.workload import Law, Workload
from reference_model.adamw import adamw
from reference_model.quantize_4bit import NF4
from reference_model.tokenizer import GPT2_PATTERN, gpt2_ranks
from specs.workloads.parts import FLOAT, Sizes, normal, with_backward

# tokenizer -----------------------------------------------------------------------------------------------------------

ENCODER = "reference_model.tokenizer:gpt2_ranks"


def _text(size: int) -> str:
    """So many bytes of real text: sources and documentation of Python's standard library."""
    text = "".join(inspect.getsource(module) for module in (argparse, textwrap, inspect))
    plain = text.encode("ascii", "ignore").decode()
    return (plain * (size // len(plain) + 1))[:size]


def _encode_case(sizes: Sizes, seed: int) -> Case:
    build = Call("build", {"ranks": Resource(ENCODER), "pattern": GPT2_PATTERN, "special_tokens": {}})
    return Case((build, Call("encode", {"text": _text(sizes["N"])})), dict(sizes))


@cache
def _encoding() -> Any:
    import tiktoken

    return tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=gpt2_ranks(), special_tokens={})


def _tiktoken(case: Case) -> Callable[[], list[int]]:
    text, encoding = case.arguments["text"], _encoding()
    return lambda: encoding.encode_ordinary(text)


TOKENIZER = (
    Workload(
        "encode",
        "N bytes of Python's own sources to ids of GPT-2",
        _encode_case,
        {"N": 8192},
        axes={"N": (2048, 4096, 8192, 16384)},
        laws=(Law("N", 1, None, "each word is its own work"),),
        peers={"tiktoken": _tiktoken},
        amount=lambda s: s["N"],
        unit="bytes of text",
        remark="the same text is encoded again and again: whoever remembers words finds them all",
    ),
)

# optimisers ----------------------------------------------------------------------------------------------------------

SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}


def _steps_case(sizes: Sizes, seed: int) -> Case:
    """Four matrices of N / 4 numbers; the first step makes the state, the second is timed."""
    draw, side = normal(seed), max(1, sizes["N"] // 4 // 256)
    params = [draw(side, 256) for _ in range(4)]
    grads = [[draw(side, 256) for _ in range(4)] for _ in range(2)]
    build = Call("build", {"params": params, "groups": None, **SETTINGS})
    return Case((build, *(Call("step", {"grads": each}) for each in grads)), dict(sizes))


def _optimizer(make: Callable[[Any], Any]) -> Callable[[Case], Callable[[], list[Tensor]]]:
    """One of torch's form, its first step done and the gradients of the second in place."""

    def made(case: Case) -> Callable[[], list[Tensor]]:
        params = [torch.nn.Parameter(p.clone()) for p in case.calls[0].arguments["params"]]
        optimizer = make(params)
        for at, call in enumerate(case.calls[1:]):
            for param, grad in zip(params, call.arguments["grads"], strict=True):
                param.grad = grad
            if at + 2 < len(case.calls):
                optimizer.step()

        def step() -> list[Tensor]:
            optimizer.step()
            return [param.detach() for param in params]

        return step

    return made


def _adamw(**options: bool) -> Callable[[Case], Callable[[], list[Tensor]]]:
    return _optimizer(lambda params: torch.optim.AdamW(params, **SETTINGS, **options))  # type: ignore[arg-type]


def _in_eight_bits(params: list[Tensor]) -> Any:
    from bitsandbytes.optim import AdamW8bit

    return AdamW8bit(params, **SETTINGS)


def near_adamw(case: Case, value: Any) -> str:
    """After two steps eight bits for the moments may cost a tenth of the learning rate, and hardly more."""
    build, *steps = (call.arguments for call in case.calls)
    exact = adamw([p.double() for p in build["params"]], None, **SETTINGS)  # type: ignore[arg-type]
    for step in steps:
        expected = exact.step([g.double() for g in step["grads"]])
    worst = max(
        float((mine.double().cpu() - right.cpu()).abs().max()) for mine, right in zip(value, expected, strict=True)
    )
    share = worst / float(SETTINGS["lr"])  # type: ignore[arg-type]
    return (
        ""
        if share <= 1.0
        else f"after two steps a parameter is {share:.2g} learning rates from where AdamW in 32 bits takes it"
    )


OPTIMISER: dict[str, Any] = {
    "sizes": {"N": 1 << 17},
    "fresh": True,
    "axes": {"N": (1 << 15, 1 << 16, 1 << 17, 1 << 18)},
    "laws": (Law("N", 1, 1, "each number is its own work"),),
    "amount": lambda s: s["N"],
    "unit": "parameters",
}
ADAMW = (
    Workload(
        "step",
        "the second step on N numbers in four matrices",
        _steps_case,
        peers={
            "torch.optim.AdamW": _adamw(foreach=False),
            "torch, foreach": _adamw(foreach=True),
            "torch, fused": _adamw(fused=True),
        },
        operations=lambda s: 12.0 * s["N"],
        bytes=lambda s: 7.0 * FLOAT * s["N"],
        **OPTIMISER,
    ),
)
ADAMW_8BIT = (
    Workload(
        "step",
        "the second step on N numbers in four matrices, moments in eight bits",
        _steps_case,
        peers={"bitsandbytes": _optimizer(_in_eight_bits), "torch, fused, 32 bits": _adamw(fused=True)},
        check=near_adamw,
        operations=lambda s: 12.0 * s["N"],
        bytes=lambda s: (3.0 * FLOAT + 4) * s["N"],
        **OPTIMISER,
    ),
)

# quantizers ----------------------------------------------------------------------------------------------------------

BLOCK = 64
MATRIX: dict[str, Any] = {
    "sizes": {"D": 256},
    "whole": True,
    "axes": {"D": (64, 128, 256, 512)},
    "amount": lambda s: s["D"] ** 2,
    "unit": "numbers",
    "operations": lambda s: 6.0 * s["D"] ** 2,
    "bytes": lambda s: 2.0 * FLOAT * s["D"] ** 2,
    "laws": (Law("D", 2, 2, "each of the D^2 numbers is its own work"),),
}


def _int8_case(sizes: Sizes, seed: int) -> Case:
    """A matrix to eight bits, one scale for each row, and back."""
    x = normal(seed)(sizes["D"], sizes["D"])
    again = {
        "q": Earlier("quantize", 0),
        "scale": Earlier("quantize", 1),
        "zero": Earlier("quantize", 2),
        "block": None,
    }
    quantize = Call("quantize", {"x": x, "axis": 1, "block": None, "symmetric": True})
    return Case((Call("build", {}), quantize, Call("dequantize", again)), dict(sizes))


def _bitsandbytes_int8(case: Case) -> Callable[[], list[Any]]:
    from bitsandbytes.functional import int8_vectorwise_dequant, int8_vectorwise_quant

    x = case.calls[1].arguments["x"]

    def there_and_back() -> list[Any]:
        codes, largest, _ = int8_vectorwise_quant(x)
        return [codes, int8_vectorwise_dequant(codes, largest)]

    return there_and_back


def within_half_a_step(case: Case, value: Any) -> str:
    x = case.calls[1].arguments["x"]
    return _off(value, x, x.abs().amax(1, keepdim=True) / 127 / 2)


INT8 = (
    Workload(
        "there_and_back",
        "a matrix [D, D] to eight bits by rows, and back",
        _int8_case,
        check=within_half_a_step,
        peers={"bitsandbytes": _bitsandbytes_int8},
        **MATRIX,
    ),
)


def _nf4_case(sizes: Sizes, seed: int) -> Case:
    """A matrix to NF4 in blocks of 64, and back."""
    x = normal(seed)(sizes["D"], sizes["D"])
    how = {"block": BLOCK, "kind": "nf4"}
    again = {"packed": Earlier("quantize", 0), "scale": Earlier("quantize", 1), "shape": tuple(x.shape), **how}
    return Case(
        (Call("build", {}), Call("quantize", {"x": x, **how, "double": False}), Call("dequantize", again)), dict(sizes)
    )


def _bitsandbytes_nf4(case: Case) -> Callable[[], list[Any]]:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    x = case.calls[1].arguments["x"]

    def there_and_back() -> list[Any]:
        packed, state = quantize_4bit(x, blocksize=BLOCK, quant_type="nf4")
        return [packed, dequantize_4bit(packed, state)]

    return there_and_back


def within_half_a_gap(case: Case, value: Any) -> str:
    """Half of the widest gap of the book, times the largest of each block."""
    x = case.calls[1].arguments["x"]
    widest = float((torch.tensor(NF4[1:]) - torch.tensor(NF4[:-1])).max()) / 2
    largest = x.reshape(-1, BLOCK).abs().amax(1, keepdim=True)
    return _off(value, x, (largest * widest).expand(-1, BLOCK).reshape(x.shape))


def _off(value: Any, x: Tensor, allowed: Tensor) -> str:
    if not torch.is_tensor(value) or value.shape != x.shape:
        return f"what comes back is {list(value.shape) if torch.is_tensor(value) else type(value).__name__}, not {list(x.shape)}"
    excess = float(((value - x).abs() / allowed).nan_to_num(float("inf")).max())
    return "" if excess <= 1.01 else f"a number comes back {excess:.3g} times as far off as it may"


NF4_BLOCKS = (
    Workload(
        "there_and_back",
        "a matrix [D, D] to NF4 in blocks of 64, and back",
        _nf4_case,
        check=within_half_a_gap,
        peers={"bitsandbytes": _bitsandbytes_nf4},
        **MATRIX,
    ),
)

# low-rank adapters ---------------------------------------------------------------------------------------------------


def _adapter_case(sizes: Sizes, seed: int) -> Case:
    draw, width, rank = normal(seed), sizes["D"], sizes["R"]
    build = {"weight": draw(width, width, std=width**-0.5), "bias": draw(width), "rank": rank, "alpha": 16}
    load = {"a": draw(rank, width, std=width**-0.5), "b": draw(width, rank, std=rank**-0.5)}
    return Case(
        (Call("build", build), Call("load", load), Call("forward", {"x": draw(sizes["T"], width)})), dict(sizes)
    )


def _peft(rank_stabilised: bool) -> Callable[[Case], Callable[[], Tensor] | None]:
    def made(case: Case) -> Callable[[], Tensor] | None:
        from peft import LoraConfig, inject_adapter_in_model

        if torch.is_grad_enabled():  # its a and b are its own
            return None
        build, load, forward = (call.arguments for call in case.calls)
        outputs, inputs = build["weight"].shape
        linear = torch.nn.Linear(inputs, outputs, bias=build["bias"] is not None)
        linear.load_state_dict({name: build[name] for name in ("weight", "bias") if build[name] is not None})
        config = LoraConfig(
            r=build["rank"], lora_alpha=build["alpha"], use_rslora=rank_stabilised, target_modules=["0"]
        )
        layer: Any = inject_adapter_in_model(config, torch.nn.Sequential(linear))[0]  # type: ignore[index]
        layer.lora_A["default"].load_state_dict({"weight": load["a"]})
        layer.lora_B["default"].load_state_dict({"weight": load["b"]})
        layer.to(build["weight"].device).eval()
        x = forward["x"]
        return lambda: layer(x)

    return made


def adapters(rank_stabilised: bool) -> tuple[Workload, ...]:
    """Of LoRA, or of its rank-stabilised form."""
    forward, backward = with_backward(
        Workload(
            "forward",
            "one adapted layer, D to D, of T positions",
            _adapter_case,
            {"T": 256, "D": 512, "R": 8},
            axes={"D": (64, 128, 256, 512)},
            laws=(Law("D", 2, 1, "2 T D^2 operations of the layer itself"),),
            operations=lambda s: 2.0 * s["T"] * (s["D"] ** 2 + 2 * s["D"] * s["R"]),
            bytes=lambda s: FLOAT * (2.0 * s["T"] * s["D"] + s["D"] ** 2),
            amount=lambda s: s["T"],
            unit="positions",
            peers={"PEFT": _peft(rank_stabilised)},
        ),
        peers={},
        operations=lambda s: 4.0 * s["T"] * (s["D"] ** 2 + 3 * s["D"] * s["R"]),  # the frozen weight gets no gradient
    )
    return forward, backward
