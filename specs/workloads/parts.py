"""What is timed of the parts: workloads, and torch's own kernels beside them.

Sizes are letters as in the docstrings of the reference: B batch, T time, D width, H heads, N numbers. They are small
but not toys: a call takes 1 to 50 ms on one core, so that what is measured is work and not the way to it. Along an axis
the data stay within the caches of a core, as far as that goes: on a busy machine, layer norm of rows of 768 over 256 to
2048 rows (6 MB each way) was measured as anything from T^-0.9 to T^3.8, of rows of 256 as T^1.39 (1.24 to 1.54); and
explicit scores as T^3.0 up to T = 1024 (8 MB), as T^2.1 up to 512.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.core.case import CALL, Call, Case
from harness.core.workload import Law, Workload

Sizes = Mapping[str, int]
EPS = 1e-5
FLOAT = 4
"""Bytes of a number in float32, in which everything is timed."""


def normal(seed: int) -> Callable[..., Tensor]:
    """Draws normal tensors of a shape and a standard deviation, one after the other."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape, std=1.0: torch.randn(shape, generator=generator) * std


def one_call(sizes: Sizes, **values: Any) -> Case:
    """The script of a function."""
    return Case((Call(CALL, values),), dict(sizes))


def with_backward(forward: Workload, *, axes: bool = False, **changes: Any) -> tuple[Workload, Workload]:
    """The workload, and the same with its gradients: two more products for every one, everything read and written
    twice."""
    operations, read_and_written = forward.operations, forward.bytes
    backward = replace(
        forward,
        name=f"{forward.name}_backward",
        sentence=f"{forward.sentence}, and the gradients of all arguments",
        backward=True,
        operations=operations and (lambda sizes: 3 * operations(sizes)),
        bytes=read_and_written and (lambda sizes: 2 * read_and_written(sizes)),
        axes=forward.axes if axes else {},
        laws=forward.laws if axes else (),
    )
    return forward, replace(backward, **changes)


def _elementwise(numbers: Callable[[Sizes], float], operations: float) -> dict[str, Any]:
    """Each number is read once and written once."""
    return {"operations": lambda s: operations * numbers(s), "bytes": lambda s: 2 * FLOAT * numbers(s)}


def _rows(sizes: Sizes) -> float:
    return float(sizes["T"] * sizes["D"])


# one position at a time ----------------------------------------------------------------------------------------------

LINEAR_IN_T: dict[str, Any] = {
    "axes": {"T": (256, 512, 1024, 2048)},
    "laws": (Law("T", 1, 1, "each position is its own work"),),
    "amount": lambda sizes: sizes["T"],
    "unit": "positions",
}
WIDE = {"T": 2048, "D": 256}


def _one_row_each(sizes: Sizes, seed: int) -> Case:
    return one_call(sizes, x=normal(seed)(sizes["T"], sizes["D"]))


def _scores_case(sizes: Sizes, seed: int) -> Case:
    return one_call(sizes, x=normal(seed)(sizes["T"], sizes["D"]), dim=-1)


def _layer_norm_case(sizes: Sizes, seed: int) -> Case:
    draw, width = normal(seed), sizes["D"]
    values = {
        "x": draw(sizes["T"], width),
        "weight": 1 + draw(width, std=0.2),
        "bias": draw(width, std=0.2),
        "eps": EPS,
    }
    return one_call(sizes, **values)


def _layer_norm(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: functional.layer_norm(a["x"], a["x"].shape[-1:], a["weight"], a["bias"], a["eps"])


def _rms_norm_case(sizes: Sizes, seed: int) -> Case:
    draw, width = normal(seed), sizes["D"]
    return one_call(sizes, x=draw(sizes["T"], width), weight=1 + draw(width, std=0.2), eps=EPS)


def _rms_norm(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: functional.rms_norm(a["x"], a["x"].shape[-1:], a["weight"], a["eps"])


def _gelu(case: Case) -> Callable[[], Tensor]:
    x = case.arguments["x"]
    return lambda: functional.gelu(x, approximate="tanh")


def _softmax(case: Case) -> Callable[[], Tensor]:
    x = case.arguments["x"]
    return lambda: functional.softmax(x, -1)


LAYER_NORM = with_backward(
    Workload(
        "forward",
        "one layer norm",
        _layer_norm_case,
        WIDE,
        peers={"F.layer_norm": _layer_norm},
        **LINEAR_IN_T,
        **_elementwise(_rows, 7),
    )
)
RMS_NORM = with_backward(
    Workload(
        "forward",
        "one RMS norm",
        _rms_norm_case,
        WIDE,
        peers={"F.rms_norm": _rms_norm},
        **LINEAR_IN_T,
        **_elementwise(_rows, 4),
    )
)
GELU = with_backward(
    Workload(
        "forward",
        "GELU of every number",
        _one_row_each,
        WIDE,
        peers={"F.gelu": _gelu},
        **LINEAR_IN_T,
        **_elementwise(_rows, 8),
    )
)
SOFTMAX = with_backward(
    Workload(
        "forward",
        "softmax of every row",
        _scores_case,
        WIDE,
        peers={"F.softmax": _softmax},
        **LINEAR_IN_T,
        **_elementwise(_rows, 5),
    )
)

# products ------------------------------------------------------------------------------------------------------------


def _linear_case(sizes: Sizes, seed: int) -> Case:
    draw, width = normal(seed), sizes["D"]
    values = {"x": draw(sizes["T"], width), "weight": draw(width, width, std=width**-0.5), "bias": draw(width)}
    return one_call(sizes, **values)


def _linear(case: Case) -> Callable[[], Tensor]:
    a = case.arguments
    return lambda: functional.linear(a["x"], a["weight"], a["bias"])


LINEAR = with_backward(
    Workload(
        "forward",
        "one affine map, D to D, of T positions",
        _linear_case,
        {"T": 256, "D": 512},
        axes={"D": (64, 128, 256, 512)},
        laws=(Law("D", 2, 1, "2 T D^2 operations; T D numbers come out"),),
        peers={"F.linear": _linear},
        operations=lambda s: 2.0 * s["T"] * s["D"] ** 2,
        bytes=lambda s: FLOAT * (2.0 * s["T"] * s["D"] + s["D"] ** 2),
        amount=lambda s: s["T"],
        unit="positions",
    )
)


def mlp_weights(draw: Callable[..., Tensor], width: int) -> dict[str, Tensor]:
    hidden = 4 * width
    return {
        "up_weight": draw(hidden, width, std=width**-0.5),
        "up_bias": draw(hidden, std=0.1),
        "down_weight": draw(width, hidden, std=hidden**-0.5),
        "down_bias": draw(width, std=0.1),
    }


def _mlp_case(sizes: Sizes, seed: int) -> Case:
    draw = normal(seed)
    return one_call(sizes, x=draw(sizes["T"], sizes["D"]), **mlp_weights(draw, sizes["D"]))


def fused_mlp(x: Tensor, weights: Mapping[str, Any]) -> Tensor:
    """Out of torch's own kernels."""
    hidden = functional.gelu(functional.linear(x, weights["up_weight"], weights.get("up_bias")), approximate="tanh")
    return functional.linear(hidden, weights["down_weight"], weights.get("down_bias"))


def mlp_operations(s: Sizes) -> float:
    return 16.0 * s["T"] * s["D"] ** 2


MLP = with_backward(
    Workload(
        "forward",
        "one feed-forward half, D to 4 D and back, of T positions",
        _mlp_case,
        {"T": 128, "D": 256},
        axes={"D": (64, 128, 256, 512)},
        laws=(Law("D", 2, 1, "16 T D^2 operations; 4 T D numbers are held"),),
        peers={"torch's kernels": lambda case: lambda: fused_mlp(case.arguments["x"], case.arguments)},
        operations=mlp_operations,
        bytes=lambda s: FLOAT * (2.0 * s["T"] * s["D"] + 8 * s["D"] ** 2),
        amount=lambda s: s["T"],
        unit="positions",
    )
)
