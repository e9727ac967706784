"""Checkpointing as two functions, one that saves and one that loads."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.core.claim import NotSupported
from harness.core.contract import Dialect
from harness.core.parameters import parameter_names

PAIRS = (("save_checkpoint", "load_checkpoint"), ("run_save_checkpoint", "run_load_checkpoint"))
PATHS = (
    *("path", "out", "src", "file", "filename", "filepath", "file_path", "checkpoint_path", "ckpt_path"),
    *("fname", "save_path", "dst", "f"),
)
NAMES: dict[str, Sequence[str]] = {
    "path": PATHS,
    "model": ("model", "net", "module"),
    "optimizer": ("optimizer", "opt", "optim"),
    "scheduler": ("scheduler", "lr_scheduler", "sched"),
    "generator": ("generator", "rng"),
    "step": ("step", "iteration", "iter", "iter_num", "it", "epoch", "global_step"),
}
"""Names of the arguments in published code."""


def separate_functions(loads: str, save: Callable[..., Any]) -> type:
    """A class with the contract's calls, for a function that saves and another one in its module that loads."""

    class Checkpoints:
        def save(
            self, path: Any, model: Any, optimizer: Any, scheduler: Any = None, generator: Any = None, step: int = 0
        ) -> None:
            objects = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "generator": generator}
            save(**by_argument_name(save, {"path": path, **objects, "step": step}))

        def load(self, path: Any, model: Any, optimizer: Any, scheduler: Any = None, generator: Any = None) -> Any:
            load = inspect.unwrap(save).__globals__.get(loads)
            if load is None:
                raise NotImplementedError(f"there is no {loads}() beside it yet")
            objects = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "generator": generator}
            return load(**by_argument_name(load, {"path": path, **objects}))

    return Checkpoints


def by_argument_name(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments under the function's own names; NotSupported where it has no place for one that is not None."""
    names, found = parameter_names(function), dict[str, Any]()
    for argument, value in given.items():
        name = next((name for name in NAMES[argument] if name in names), None)
        if name is not None:
            found[name] = value
        elif value is not None and argument != "step":
            raise NotSupported(f"it takes no {argument}")
    return found


DIALECTS = tuple(
    Dialect(
        "training code",
        save,
        (),
        lambda a: a,
        made=functools.partial(separate_functions, load),
        entry=save.startswith("run_"),
    )
    for save, load in PAIRS
)
