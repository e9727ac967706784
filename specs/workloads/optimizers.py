"""What is timed of the optimizers: one step, beside torch and bitsandbytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.core.case import Call, Case
from harness.core.workload import Law, Workload
from reference_model.adamw import adamw
from specs.workloads.parts import FLOAT, Sizes, normal

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
