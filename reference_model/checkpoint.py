"""A training run that goes on where it stopped."""

import os
from typing import Any

import torch
from torch import nn


class checkpoint:
    """Everything that a run goes on from, in one file: parameters, optimiser, schedule, random numbers and step.

    model, optimizer and scheduler have state_dict() and load_state_dict(); generator is the torch.Generator that data
    and dropout are drawn from.  load() writes into the very objects it is given, which must be of the same sizes.
    Source: torch's recipe "Saving and loading a general checkpoint"; openai/gpt-2 saves parameters alone.
    """

    def save(
        self,
        path: str | os.PathLike[str],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Any = None,
        generator: torch.Generator | None = None,
        step: int = 0,
    ) -> None:
        """Write a file; what it was made of goes on unchanged."""
        record: dict[str, Any] = {"step": step}
        record["model"] = model.state_dict()
        record["optimizer"] = optimizer.state_dict()
        if scheduler is not None:
            record["scheduler"] = scheduler.state_dict()
        if generator is not None:
            record["generator"] = generator.get_state()
        torch.save(record, path)

    def load(
        self,
        path: str | os.PathLike[str],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Any = None,
        generator: torch.Generator | None = None,
    ) -> int:
        """Read a file into them.  -> the step it was saved at

        Raises RuntimeError, from torch, that names the parameters whose shapes are others, KeyError where the file
        holds no state of something that is given.
        """
        record = torch.load(path, weights_only=True)
        model.load_state_dict(record["model"])
        optimizer.load_state_dict(record["optimizer"])
        if scheduler is not None:
            scheduler.load_state_dict(record["scheduler"])
        if generator is not None:
            generator.set_state(record["generator"])
        step = record["step"]
        return int(step)
