"""Adam with decoupled weight decay."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class adamw:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = p - lr d p - lr m^ / (sqrt(v^) + eps),
    with m^ = m / (1 - b1^t), v^ = v / (1 - b2^t), t the number of gradients this parameter has had, from 1 on.

    params: tensors of any shape; they are copied.  16-bit ones are kept in float32 (a master copy), as are their
    moments: a step or a decay of less than half the distance between two 16-bit numbers would be rounded away.
    groups: None for one group of all, or dictionaries with "params" (places in the list) and whichever of lr, betas,
    eps and weight_decay d differ from the ones given beside.
    Raises ValueError for a negative rate, decay or eps, a beta outside [0, 1), or a parameter in two groups or in none.
    Source: Loshchilov & Hutter 2019, algorithm 2 (d times lr, as in torch.optim.AdamW); Kingma & Ba 2015, algorithm 1.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        groups: Sequence[Mapping[str, Any]] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        everything = [{"params": range(len(params))}] if groups is None else groups
        self.groups = [{**defaults, **group} for group in everything]
        refuse_unusable(self.groups, len(params))
        self.dtypes = [param.dtype for param in params]
        self.params = [param.detach().to(widest(param.dtype), copy=True) for param in params]
        self.first = [torch.zeros_like(param) for param in self.params]
        self.second = [torch.zeros_like(param) for param in self.params]
        self.counts = [0 for _ in self.params]

    def step(self, grads: Sequence[Tensor | None]) -> list[Tensor]:
        """One gradient per parameter, None for one that has none: it and its state stay as they are.  -> parameters"""
        for group in self.groups:
            for place in group["params"]:
                grad = grads[place]
                if grad is None:
                    continue
                self.update(place, grad.to(self.params[place].dtype), group)
        return [param.to(dtype, copy=True) for param, dtype in zip(self.params, self.dtypes, strict=True)]

    def update(self, place: int, grad: Tensor, group: Mapping[str, Any]) -> None:
        """One parameter, its two moments and its counter."""
        lr = group["lr"]
        beta_1, beta_2 = group["betas"]
        eps = group["eps"]
        weight_decay = group["weight_decay"]
        param = self.params[place]
        count = self.counts[place] + 1
        steps = torch.tensor(float(count), dtype=param.dtype, device=param.device)

        first = beta_1 * self.first[place] + (1 - beta_1) * grad
        second = beta_2 * self.second[place] + (1 - beta_2) * grad.square()
        correction_1 = 1 - beta_1**steps
        correction_2 = 1 - beta_2**steps
        mean = first / correction_1
        root = torch.sqrt(second / correction_2)
        direction = mean / (root + eps)
        decayed = param - lr * weight_decay * param
        moved = decayed - lr * direction

        self.params[place] = moved
        self.first[place] = first
        self.second[place] = second
        self.counts[place] = count

    def set_lr(self, lr: float) -> None:
        """Another learning rate for every group from the next step on, in its decay too (what a schedule does)."""
        for group in self.groups:
            group["lr"] = lr

    def state(self) -> dict[str, list[Any]]:
        """What a resumed run needs beside the parameters: moments and counters, copied.

        A resumed run of 16-bit parameters begins from the rounded ones.
        """
        first = [moment.clone() for moment in self.first]
        second = [moment.clone() for moment in self.second]
        return {"first": first, "second": second, "counts": list(self.counts)}

    def load(self, state: Mapping[str, Sequence[Any]]) -> None:
        """Take over what state() gave out, in each parameter's dtype.  Raises ValueError where a shape is another."""
        for place, param in enumerate(self.params):
            for moment in (state["first"][place], state["second"][place]):
                if moment.shape != param.shape:
                    shapes = f"{list(moment.shape)}, it is {list(param.shape)}"
                    raise ValueError(f"the state of parameter {place} is {shapes}")
        dtypes = [param.dtype for param in self.params]
        self.first = [m.detach().to(dtype, copy=True) for m, dtype in zip(state["first"], dtypes, strict=True)]
        self.second = [m.detach().to(dtype, copy=True) for m, dtype in zip(state["second"], dtypes, strict=True)]
        self.counts = list(state["counts"])


def widest(dtype: torch.dtype) -> torch.dtype:
    """float32 in place of a 16-bit dtype; any other dtype as it is."""
    return torch.promote_types(dtype, torch.float32)


def refuse_unusable(groups: Sequence[Mapping[str, Any]], count: int) -> None:
    """Raises ValueError for settings that cannot be meant, or parameters that are not in exactly one group."""
    for group in groups:
        for name in ("lr", "eps", "weight_decay"):
            if not group[name] >= 0:
                raise ValueError(f"{name} must not be negative, but is {group[name]}")
        for beta in group["betas"]:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be in [0, 1), not {group['betas']}")
    places = [place for group in groups for place in group["params"]]
    if sorted(places) != list(range(count)):
        raise ValueError(f"{count} parameters must be in one group each; the groups hold {places}")
