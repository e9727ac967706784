"""What is timed of the quantizers: a matrix to codes and back, beside bitsandbytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.core.case import Call, Case
from harness.core.values import Earlier
from harness.core.workload import Law, Workload
from reference_model.quantize_4bit import NF4
from specs.workloads.parts import FLOAT, Sizes, normal

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
    """Half of the widest gap of the codebook, times the largest of each block."""
    x = case.calls[1].arguments["x"]
    widest = float((torch.tensor(NF4[1:]) - torch.tensor(NF4[:-1])).max()) / 2
    largest = x.reshape(-1, BLOCK).abs().amax(1, keepdim=True)
    return _off(value, x, (largest * widest).expand(-1, BLOCK).reshape(x.shape))


def _off(value: Any, x: Tensor, allowed: Tensor) -> str:
    if not torch.is_tensor(value) or value.shape != x.shape:
        found = list(value.shape) if torch.is_tensor(value) else type(value).__name__
        return f"it returns {found}, expected {list(x.shape)}"
    excess = float(((value - x).abs() / allowed).nan_to_num(float("inf")).max())
    return "" if excess <= 1.01 else f"the error of a number is {excess:.3g} times what is allowed"


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
