"""What the harness runs around checkpoints: a small training run that begins, trains and reports its state."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from specs.shared.models import tiny_gpt

TIED = ("lm_head.weight", "wte_embedding.weight")


class Run:
    """A model with its optimizer; with a schedule and a generator of its data where they are asked for."""

    def __init__(self, seed: int, tied: bool, schedule: str, with_generator: bool, width: int, momentum: bool) -> None:
        self.model: nn.Module = tiny_gpt(seed, width=width, layers=0, tied=tied)
        parameters = list(self.model.parameters())
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.SGD(parameters, 0.1, momentum=0.9) if momentum else torch.optim.AdamW(parameters, 0.05)
        )
        self.scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
        if schedule == "cosine":
            self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 12)
        elif schedule == "steps":
            self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.generator = torch.Generator().manual_seed(seed) if with_generator else None


def begin(seed: int, tied: bool, schedule: str, with_generator: bool, width: int, momentum: bool) -> tuple[Any, ...]:
    """(model, optimizer, scheduler, generator, run): later calls of the script take them one by one."""
    run = Run(seed, tied, schedule, with_generator, width, momentum)
    return run.model, run.optimizer, run.scheduler, run.generator, run


class File(str):
    """A path in a temporary folder, which is removed when no reference to the path is left."""

    folder: tempfile.TemporaryDirectory[str]


def file(name: str) -> tuple[File]:
    """A path in a new temporary folder."""
    folder = tempfile.TemporaryDirectory(prefix="plumbline-")
    path = File(Path(folder.name) / name)
    path.folder = folder
    return (path,)


class Stream(io.BytesIO):
    """A file object in memory. As a text it is a path in a temporary folder, for code that makes a text of it."""

    def __init__(self) -> None:
        super().__init__()
        (self.place,) = file("stream")

    def __str__(self) -> str:
        return str(self.place)


def stream() -> tuple[Stream]:
    """A file object that is open for writing and reading."""
    return (Stream(),)


def rewind(stream: Stream) -> None:
    """Its next byte is the first again. Raises ValueError where it was closed, or holds nothing."""
    if not stream.getbuffer().nbytes:
        raise ValueError("nothing was written into the file object")
    stream.seek(0)


def train(run: Run, first: int, steps: int) -> dict[str, Any]:
    """Train ``steps`` steps from ``first`` on. The step seeds the data, or the run's generator where it has one."""
    for step in range(first, first + steps):
        source = run.generator or torch.Generator().manual_seed(1_000 + step)
        ids = torch.randint(0, 11, (2, 5), generator=source)
        _, loss = run.model(ids[:, :-1], ids[:, 1:])
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        if run.scheduler is not None:
            run.scheduler.step()
    return look(run)


def look(run: Run) -> dict[str, Any]:
    """The state of a run: parameters, learning rates, and whether they are trained and tied."""
    modules = dict(run.model.named_modules())
    head, table = (modules[name.rpartition(".")[0]].weight for name in TIED)
    live = {id(parameter) for group in run.optimizer.param_groups for parameter in group["params"]}
    return {
        "parameters": {name: parameter.detach().clone() for name, parameter in run.model.named_parameters()},
        "trained": all(id(parameter) in live and parameter.requires_grad for parameter in run.model.parameters()),
        "tied": head is table,
        "rate": [float(group["lr"]) for group in run.optimizer.param_groups],
        "training": run.model.training,
    }


def step_in(value: Any) -> int | None:
    """The step in what load() returned: a number, the first integer of several values, or an entry of a dictionary."""
    if isinstance(value, dict):
        value = next(
            (value[name] for name in ("step", "iteration", "iter", "epoch", "global_step") if name in value), None
        )
    if isinstance(value, (list, tuple)):
        value = next((entry for entry in value if isinstance(entry, int) and not isinstance(entry, bool)), None)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


LOSSES = ("loss", "losses", "train_loss", "train_losses", "train", "training_loss")
EVALUATIONS = (
    *("evaluation", "evaluations", "eval_loss", "eval_losses", "val_loss", "val_losses"),
    *("validation", "validation_loss", "val", "valid_loss"),
)
ENDS = (("start", "end"), ("initial", "final"), ("before", "after"), ("initial_state", "final_state"))


def history(value: Any) -> dict[str, Any]:
    """What train() returned: its losses, its evaluations and which parameters moved; None for what it does not report.

    ``value`` is a list of losses, a dictionary of lists or a list of dictionaries; or a tuple that begins with one.
    """
    if isinstance(value, tuple):
        value = value[0]
    if hasattr(value, "history"):
        value = value.history
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {
            name: [entry[name] for entry in value if entry.get(name) is not None]
            for entry_ in value[:1]
            for name in {*entry_, *value[-1]}
        }
    if not isinstance(value, dict):
        value = {"loss": value}
    ends = next((pair for pair in ENDS if pair[0] in value and pair[1] in value), None)
    moved = None
    if ends is not None:
        start, end = (value[name] for name in ends)
        moved = {str(name): not torch.equal(torch.as_tensor(start[name]), torch.as_tensor(end[name])) for name in start}
    return {"loss": _numbers(value, LOSSES), "evaluation": _numbers(value, EVALUATIONS), "moved": moved}


def _numbers(value: dict[str, Any], names: tuple[str, ...]) -> list[float] | None:
    found = next((value[name] for name in names if value.get(name) is not None), None)
    if found is None:
        return None
    entries = found.tolist() if hasattr(found, "tolist") else list(found)
    return [float(entry[-1] if isinstance(entry, (tuple, list)) else entry) for entry in entries]
