"""A module as a component of weight tying: what its shared tensor is, and how it is copied, saved and loaded."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import torch

from harness.core.claim import NotSupported
from harness.core.values import Settings
from reference_model.config import Config, LlamaConfig
from reference_model.gpt2 import initialise
from reference_model.llama import initialise_llama
from specs.shared.sizes_of_models import is_llama, llama_settings


class TiedModule:
    """A model class as it is: its parameters under all their names; moved, saved, copied and trained as torch does."""

    make: Callable[..., Any]

    def __init__(self, config: Settings, seed: int) -> None:
        self.built = self.make(config, seed=seed)
        self.names = self.tied_names(config)
        self.shape = (config.vocab_size, config.width)
        self.built.module.eval()

    def tied_names(self, config: Settings) -> list[str]:
        """The names of the shared tensor."""
        return list(self.built.names_of(initialise(Config(**config.as_dict())), "token_embedding"))

    def live(self) -> list[torch.Tensor]:
        """The embedding, and the head where it has a name."""
        known = dict(self.built.module.named_parameters(remove_duplicate=False))
        return [known[name] for name in self.names]

    def seen(self, tensor: torch.Tensor) -> torch.Tensor:
        """Its numbers, [V, D]."""
        return (tensor if tuple(tensor.shape) == self.shape else tensor.T).detach().clone()

    def shared(self) -> dict[str, int]:
        """How many parameters and memories the two are, and how many numbers are trained."""
        both = self.live()
        count = sum(p.numel() for p in self.built.module.parameters() if p.requires_grad)
        return {
            "parameters": len({id(p) for p in both}),
            "memories": len({p.data_ptr() for p in both}),
            "numbers": count,
        }

    def logits(self, ids: torch.Tensor) -> Any:
        return self.built(ids).detach()

    def add(self, amount: float) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            self.live()[0].add_(amount)
        return {"embedding": self.seen(self.live()[0]), "head": self.seen(self.live()[-1])}

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())

    def gradients(self, ids: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """Of the shared tensor, and of its two uses; those have no rows where the head has no name of its own."""
        self.built.module.zero_grad()
        self.loss(self.built(ids), targets).backward()
        grad = self.live()[0].grad
        whole = torch.zeros(self.shape) if grad is None else self.seen(grad)
        if len(self.names) < 2:
            return {"whole": whole, "embedding": whole[:0], "head": whole[:0]}
        apart = {
            name: tensor.detach().clone().requires_grad_() for name, tensor in zip(self.names, self.live(), strict=True)
        }
        loss = self.loss(self.built.with_tensors(apart, ids), targets)
        first, *rest = torch.autograd.grad(loss, list(apart.values()), allow_unused=True)
        parts = [torch.zeros(self.shape) if g is None else self.seen(g) for g in (first, *rest)]
        return {"whole": whole, "embedding": parts[0], "head": torch.stack(parts[1:]).sum(0)}

    def step(self, ids: torch.Tensor, targets: torch.Tensor, lr: float) -> dict[str, torch.Tensor]:
        before = self.seen(self.live()[0])
        optimizer = torch.optim.Adam(self.built.module.parameters(), lr=lr)
        optimizer.zero_grad()
        self.loss(self.built(ids), targets).backward()
        optimizer.step()
        return {"before": before, "after": self.seen(self.live()[0]), "head": self.seen(self.live()[-1])}

    def cast(self, dtype: str) -> None:
        self.built.module.to(getattr(torch, dtype))

    def fresh(self) -> Any:
        other = self.built.another()
        dtype = self.live()[0].dtype
        if next(other.module.parameters()).dtype != dtype:  # complex tables would lose their imaginary part
            other.module.to(dtype)
        other.module.eval()
        return other

    def reload(self) -> None:
        file = io.BytesIO()
        torch.save(self.built.module.state_dict(), file)
        file.seek(0)
        other = self.fresh()
        other.module.load_state_dict(torch.load(file))
        self.built = other

    def reload_without_head(self) -> None:
        if len(self.names) < 2:
            raise NotSupported("its head has no parameter name of its own")
        state = {n: value.clone() for n, value in self.built.module.state_dict().items() if n not in self.names[1:]}
        other = self.fresh()
        other.module.load_state_dict(state, strict=False)
        self.built = other

    def duplicate(self) -> None:
        self.built = self.built.around(copy.deepcopy(self.built.module))


class TiedLlama(TiedModule):
    """A Llama, whose head may be its embedding. Most have a head of their own, which is no fault of theirs."""

    def __init__(self, config: Settings, seed: int) -> None:
        super().__init__(llama_settings(config), seed)

    def tied_names(self, config: Settings) -> list[str]:
        """The names of the shared tensor. Raises NotSupported where there is none."""
        sizes = {name: value for name, value in config.as_dict().items() if name not in ("kv_heads", "head_size")}
        weights = initialise_llama(LlamaConfig(**sizes, kv_heads=config.heads, head_size=config.width // config.heads))
        names = list(self.built.names_of(weights, "token_embedding"))
        if self.built.names_of(weights, "head_weight"):
            raise NotSupported("its head is a tensor of its own, as Llama's is")
        return names


def module_adapter(make: Any) -> type:
    """The component that ``make(config, seed=...)`` builds; ``make`` is a :class:`ModelBuilder`."""
    kind = TiedLlama if is_llama(make) else TiedModule
    return type("Tied", (kind,), {"make": staticmethod(make)})
