"""Runs the text of a training script in this process, and keeps what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import types
import warnings
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

SCRIPTS = Path(__file__).resolve().parents[2] / "specs" / "scripts"
HEALTHY = Path(__file__).resolve().parents[1] / "training" / "healthy"


def trace(source: str, arguments: tuple[str, ...] = (), seed: int = 0) -> list[str]:
    """What a script prints, and the sum of all trained values after each step of a torch optimiser."""
    seen: list[str] = []
    main, argv = sys.modules["__main__"], sys.argv
    module = types.ModuleType("__main__")
    printed = io.StringIO()

    def after_step(optimizer: torch.optim.Optimizer, *_: object) -> None:
        values = [p.detach().double().sum() for group in optimizer.param_groups for p in group["params"]]
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        seen.append(f"{torch.stack(values).sum().item():.9e} {rates}")

    hook = register_optimizer_step_post_hook(after_step)
    random.seed(seed)
    torch.manual_seed(seed)
    sys.modules["__main__"], sys.argv = module, ["script.py", *arguments]
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, "script.py", "exec"), module.__dict__)
    finally:
        hook.remove()
        sys.modules["__main__"], sys.argv = main, argv
        torch.set_grad_enabled(True)
    return [*printed.getvalue().splitlines(), *seen]
