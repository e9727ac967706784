"""What is timed of the low-rank adapters: an adapted layer, beside PEFT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.core.case import Call, Case
from harness.core.workload import Law, Workload
from specs.workloads.parts import FLOAT, Sizes, normal, with_backward


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
